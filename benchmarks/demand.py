"""How well ``plugins/demand`` forecasts, beside who repeats the last season: ``python -m benchmarks.demand``.

Its features, labels and fit, on all days of the log, split by time as a training does it: the newest fifth of the rows
is judged. Nothing is searched.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from demand import team
from demand.features import recent_sales
from demand.models import TARGET, expected_pieces, sold_in_14_days
from demand.sales import days
from pyarrow import compute

from loopline.demo.days import accepted
from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.foundation.names import ARRIVED_AT, CREATED_AT, EVENT_TIME, KNOWN_AT
from loopline.platform_core.training.evaluate import drawn
from loopline.platform_core.training.examples import Learnable, learnable
from loopline.resources.polars.engine import PolarsEngine

PARAMS = {"learning_rate": 0.1, "num_leaves": 31}
MORNING_US = 121 * 60 * 1_000_000
END = datetime(2011, 12, 10, 2, tzinfo=UTC)


def main() -> None:
    """Print the tables that the model's page shows."""
    data = _data()
    parts = data.parts
    fitted = expected_pieces(data.part(parts.train), data.part(parts.valid), PARAMS, lambda _step, _score: None)
    raw, judged = TARGET.predictions(fitted, data.x[parts.evaluation]), data.table.slice(parts.evaluation.start)
    print(f"{parts.train.stop:,} rows learnt from, {len(raw):,} judged: {judged[EVENT_TIME][0]} and later")
    for grid in drawn(judged, ["series"], ("group", "country"), TARGET, raw):
        if grid["form"] == "grid":
            print(f"\n{grid['title']} ({grid['note']})")
            for name, values in zip(grid["rows"], grid["values"], strict=True):
                print(f"  {name:12}" + "".join(f"{value:10.3f}" for value in values))
    print(f"\ncoverage {TARGET.values(TARGET.rows(data.y[parts.evaluation], raw))['coverage']:.3f} of 0.8")


def _data() -> Learnable:
    engine = PolarsEngine()
    rows = accepted(_Only(engine), team, recent_sales.source, list(days()))  # type: ignore[arg-type] - of a platform this
    arrived = compute.add(rows["day"], pa.scalar(MORNING_US, pa.duration("us")))
    rows = rows.set_column(rows.column_names.index(ARRIVED_AT), ARRIVED_AT, arrived)
    view, labels = engine.compute_view(recent_sales, rows), engine.compute_labels(sold_in_14_days, rows)
    known = labels.filter(compute.less_equal(labels[KNOWN_AT], pa.scalar(END, labels[KNOWN_AT].type)))
    known = known.drop_columns([KNOWN_AT, *sold_in_14_days.segments])
    table = engine.point_in_time(known, [ViewRows(recent_sales, view)])
    table = table.sort_by([(EVENT_TIME, "ascending"), ("series", "ascending")])
    features = [name for name in view.column_names if name not in {"series", EVENT_TIME, CREATED_AT}]
    return learnable(table, features, TARGET)


class _Only:
    """A platform of which nothing but the engine is asked."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine


if __name__ == "__main__":
    main()
