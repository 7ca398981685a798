"""What a code location asks of Spark, run in a pod of the tests' cluster as a program of its own; it says JSON.

``ENGINE`` are the engine's settings. Scores of many parts take a while, in which an executor may be killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.testing.engines.engine_tables import asked, large_order, raw_orders, spending
from loopline.resources.object_store.objects import Objects
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.pyspark import staging
from loopline.resources.pyspark.engine import PysparkEngine

CUSTOMERS, ORDERS, PARTS = 20, 1_000, 40


def slowly(package: Path, rows: pa.Table) -> Sequence[float]:
    """Score by a number that lies in the package; a part takes a second."""
    time.sleep(1)  # a part that takes long enough to be killed in
    factor = float((package / "factor").read_text())
    return [factor * amount for amount in rows["amount"].to_pylist()]


def answers(engine: PysparkEngine) -> dict[str, Any]:
    """Compare view, labels and join with Polars', and scores with what they must be."""
    random, polars = np.random.default_rng(7), PolarsEngine()
    hours = random.integers(0, 24 * 90, ORDERS)
    raw = raw_orders(
        *(
            (int(who), float(hour), float(hour + 1), 2.5, "a")
            for who, hour in zip(random.integers(0, CUSTOMERS, ORDERS), hours, strict=True)
        )
    )
    view = engine.compute_view(spending, raw)
    same = [
        view.equals(polars.compute_view(spending, raw)),
        engine.compute_labels(large_order, raw).equals(polars.compute_labels(large_order, raw)),
    ]
    asks, sides = asked(*((n % CUSTOMERS, n / 2) for n in range(500))), [ViewRows(spending, view)]
    same.append(engine.point_in_time(asks, sides).equals(polars.point_in_time(asks, sides)))
    package = Path("/tmp/package")
    package.mkdir()
    package.joinpath("factor").write_text("10")
    rows = pa.table({"amount": [float(number) for number in range(ORDERS)]})
    staging.PART_BYTES = rows.nbytes // PARTS
    sys.stdout.write("scoring\n")
    sys.stdout.flush()
    scores = list(engine.score(package, rows, slowly))
    left = [each.key for each in Objects(str(engine.staging), engine.storage_options).listed(staging.FOLDER)]
    same.append(scores == [10.0 * number for number in range(ORDERS)])
    return {"rows": len(view), "same": same, "left": left}


def main() -> None:
    """Ask, and say what came of it."""
    began = time.monotonic()
    try:
        found = answers(PysparkEngine(**json.loads(os.environ["ENGINE"])))
    except LooplineError as error:
        found = {"error": type(error).__name__, "problem": error.problem, "fix": error.fix}
    sys.stdout.write(json.dumps({**found, "seconds": time.monotonic() - began}) + "\n")


if __name__ == "__main__":
    main()
