"""The kit of generated histories catches an engine that makes something else of a declaration."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.specs import FeatureView, Labels
from loopline.platform_core.testing.engine_histories import EngineHistoriesKit
from loopline.platform_core.testing.mutants import assert_catches
from loopline.resources.polars.engine import PolarsEngine

VIEWS, JOINS = "test_9_views_and_labels_are_those_of_any_engine", "test_9_point_in_time_is_what_anyone_would_look_up"


def changed(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    """Put other values into a column, if it is there."""
    return table.set_column(table.column_names.index(name), name, values) if name in table.column_names else table


class SumsAreFloats(PolarsEngine):
    """Breaks 9: values are right, a type is not."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Make whole units numbers."""
        found = super().compute_view(view, raw)
        return changed(found, "units", found["units"].cast(pa.float64())) if "units" in found.column_names else found


class LastBits(PolarsEngine):
    """Breaks 9: a sum of whole numbers is off by a bit."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Multiply by a little more than one."""
        found = super().compute_view(view, raw)
        name = "whole_units"
        return changed(found, name, pc.multiply(found[name], 1 + 2**-52)) if name in found.column_names else found


class NullsAreNothing(PolarsEngine):
    """Breaks 9: a mean of nothing is zero."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Fill it."""
        found = super().compute_view(view, raw)
        return changed(found, "mean", pc.fill_null(found["mean"], 0.0)) if "mean" in found.column_names else found


class SkipsRepeated(PolarsEngine):
    """Breaks 9: a row that came twice counts once."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Drop what repeats."""
        return super().compute_view(view, raw.group_by(raw.column_names).aggregate([]))


class LateIsLost(PolarsEngine):
    """Breaks 9: rows that arrived a day late are not seen."""

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Drop them."""
        late = pc.greater(pc.hours_between(raw["sold_at"], raw["_arrived_at"]), 24)
        return super().compute_labels(labels, raw.filter(pc.invert(late)))


class LimitFirst(PolarsEngine):
    """Breaks 9: where the newest row is not known yet, nothing is."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Keep each event's last word only."""

        def last(rows: pa.Table) -> pa.Table:
            numbered = rows.sort_by("created_at").append_column("_n", pa.array(range(len(rows))))
            kept = numbered.group_by(["customer", "event_time"]).aggregate([("_n", "max")])["_n_max"]
            return numbered.take(kept).drop_columns("_n")

        return super().point_in_time(labels, [ViewRows(each.view, last(each.rows)) for each in views])


@pytest.mark.parametrize("mutant", [SumsAreFloats, LastBits, NullsAreNothing, SkipsRepeated, LateIsLost])
def test_the_kit_catches_other_views(mutant: type[PolarsEngine]) -> None:
    """A type, a bit, a null, a repeated row or a late one is enough."""
    assert_catches(EngineHistoriesKit, VIEWS, engine=mutant(), reference=PolarsEngine())


def test_the_kit_catches_other_joins() -> None:
    """A correction must not hide what was known before it."""
    assert_catches(EngineHistoriesKit, JOINS, engine=LimitFirst())
