"""The lake on PostgreSQL beside Delta on this machine's disk: ``python -m benchmarks.lake_on_postgresql``.

Six appends of 50,000 rows and four readings of all and of the last append, each the best; the server syncs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import pyarrow as pa

from loopline.platform_core.contracts.lake import Lake
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.postgres.lake import PostgresLake
from tests.emulators.postgresql import postgresql

ROWS, APPENDS, READINGS = 50_000, 6, 4
TABLE = "bench/raw/orders"


def rows() -> pa.Table:
    """Make rows of a text, a whole number, two others, an instant and a day."""
    return pa.table(
        {
            "id": [f"c{n}" for n in range(ROWS)],
            "whole": pa.array(range(ROWS), pa.int64()),
            "one": [n / 7 for n in range(ROWS)],
            "two": [n / 3 for n in range(ROWS)],
            "at": pa.array([datetime(2020, 1, 1, tzinfo=UTC)] * ROWS, pa.timestamp("us", "UTC")),
            "_date": [date(2020, 1, 1)] * ROWS,
        }
    )


def best(times: int, does: Callable[[], object]) -> float:
    """Return the shortest time of several, in seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        does()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def measure(lake: Lake) -> str:
    """Measure one lake."""
    content = rows()
    append = best(APPENDS, lambda: lake.append(TABLE, content))
    whole = best(READINGS, lambda: lake.read(TABLE))
    newest = best(READINGS, lambda: lake.read(TABLE, newer_than=APPENDS - 2))
    return (
        f"append {append * 1e3:.0f} ms, all {ROWS * APPENDS:,} rows {whole * 1e3:.0f} ms, newest {newest * 1e3:.0f} ms"
    )


def main() -> None:
    """Print a line for each."""
    with postgresql(syncs=True) as server, tempfile.TemporaryDirectory() as folder:
        for lake in (PostgresLake(url=server.url), DeltaLake(root=folder)):
            print(type(lake).__name__, measure(lake))
            lake.close()


if __name__ == "__main__":
    main()
