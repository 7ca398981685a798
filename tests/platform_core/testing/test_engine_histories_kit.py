"""The kit of generated histories catches an engine that makes something else of a declaration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.specs import FeatureView, Labels
from loopline.platform_core.testing.engines.engine_histories import EngineHistoriesKit
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.resources.polars.engine import PolarsEngine
from tests.platform_core.testing.mutant import mutant

VIEWS, JOINS = "test_9_views_and_labels_are_those_of_any_engine", "test_9_point_in_time_is_what_anyone_would_look_up"


def column(name: str, change: Any) -> dict[str, Any]:
    """Make an engine that changes a column of a view, if it is there."""

    def compute_view(up: Any, _: Any, view: FeatureView, raw: pa.Table) -> pa.Table:
        found = up.compute_view(view, raw)
        there = name in found.column_names
        return found.set_column(found.column_names.index(name), name, change(found[name])) if there else found

    return {"compute_view": compute_view}


def last(rows: pa.Table) -> pa.Table:
    """Keep each event's last word only."""
    numbered = rows.sort_by("created_at").append_column("_n", pa.array(range(len(rows))))
    kept = numbered.group_by(["customer", "event_time"]).aggregate([("_n", "max")])["_n_max"]
    return numbered.take(kept).drop_columns("_n")


class LateIsLost(PolarsEngine):
    """Breaks 9: rows that arrived a day late are not seen."""

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Drop them."""
        late = pc.greater(pc.hours_between(raw["sold_at"], raw["_arrived_at"]), 24)
        return super().compute_labels(labels, raw.filter(pc.invert(late)))


made = partial(mutant, PolarsEngine)
OTHER_VIEWS = [
    # values are right, a type is not
    made("SumsAreFloats", **column("units", lambda units: units.cast(pa.float64()))),
    # a sum of whole numbers is off by a bit
    made("LastBits", **column("whole_units", lambda units: pc.multiply(units, 1 + 2**-52))),
    # a mean of nothing is zero
    made("NullsAreNothing", **column("mean", lambda mean: pc.fill_null(mean, 0.0))),
    # a row that came twice counts once
    made(
        "SkipsRepeated",
        compute_view=lambda up, _, view, raw: up.compute_view(view, raw.group_by(raw.column_names).aggregate([])),
    ),
    LateIsLost,
]


@pytest.mark.parametrize("mutant", OTHER_VIEWS)
def test_the_kit_catches_other_views(mutant: type[PolarsEngine]) -> None:
    """A type, a bit, a null, a repeated row or a late one is enough."""
    assert_catches(EngineHistoriesKit, VIEWS, engine=mutant(), reference=PolarsEngine())


def test_the_kit_catches_other_joins() -> None:
    """A correction must not hide what was known before it: where the newest row is not known yet, nothing would be."""

    def point_in_time(up: Any, _: Any, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        return up.point_in_time(labels, [ViewRows(each.view, last(each.rows)) for each in views])

    assert_catches(EngineHistoriesKit, JOINS, engine=made("LimitFirst", point_in_time=point_in_time)())
