"""The engine's kit catches a mutant for each promise from the second on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.engine import Engine, ScoreRows, ViewRows
from loopline.platform_core.specs import FeatureView, Labels
from loopline.platform_core.testing.engine import EngineKit
from loopline.platform_core.testing.engine_histories import EngineHistoriesKit
from loopline.platform_core.testing.mutants import assert_catches
from loopline.resources.polars.engine import PolarsEngine


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Put other values into a column."""
    return table.set_column(table.column_names.index(name), name, values)


def with_rows(views: Sequence[ViewRows], change: Any) -> list[ViewRows]:
    """Change the offline rows before they are joined."""
    return [ViewRows(each.view, change(each.rows)) for each in views]


class KeepsSmallTypes(PolarsEngine):
    """Breaks 2: counts come out as they are counted."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Make whole numbers 32 bits wide."""
        found = super().compute_view(view, raw)
        return found.cast(pa.schema([(f.name, pa.int32() if f.name == "orders" else f.type) for f in found.schema]))


class KnowsAtOnce(PolarsEngine):
    """Breaks 2: a row counts as known when it happened."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Forget arrivals."""
        return super().compute_view(replace(view, served="request"), raw)


class OwnArrivalOnly(PolarsEngine):
    """Breaks 2: a row that rests on late rows of earlier events counts as known before them."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Take each event's own arrival."""
        found = super().compute_view(view, raw)
        if view.served == "request":
            return found
        own = raw.group_by([view.entity, view.time]).aggregate([("_arrived_at", "max")])
        own = own.rename_columns([view.entity, "event_time", "own"])
        joined = found.join(own, [view.entity, "event_time"]).sort_by("event_time")
        later = pc.if_else(pc.greater(joined["own"], joined["event_time"]), joined["own"], joined["event_time"])
        return with_column(joined, "created_at", later).select(found.column_names)


class RequestsArrive(PolarsEngine):
    """Breaks 2: what a request brings counts as known only when its row arrived."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Treat every view as online."""
        return super().compute_view(replace(view, served="online"), raw)


class LivesElsewhere(PolarsEngine):
    """Breaks 2: a function sees the hours of another zone."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Shift the rows' times there, and the result's back."""
        there = pa.scalar(timedelta(hours=5, minutes=30))
        found = super().compute_view(view, with_column(raw, view.time, pc.add(raw[view.time], there)))
        return with_column(found, "event_time", pc.subtract(found["event_time"], there))


class LooksAtEventsOnly(PolarsEngine):
    """Breaks 3: a row is used from its event on, whenever it was created."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Pretend that rows were created when they happened."""
        return super().point_in_time(
            labels, with_rows(views, lambda rows: with_column(rows, "created_at", rows["event_time"]))
        )


class LatestKnowledgeWins(PolarsEngine):
    """Breaks 3: a late row of an older event hides the newest event."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Take creation for the event."""
        return super().point_in_time(
            labels, with_rows(views, lambda rows: with_column(rows, "event_time", rows["created_at"]))
        )


class SortsLabels(PolarsEngine):
    """Breaks 3: the labels' order is lost."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Sort by time."""
        return super().point_in_time(labels, views).sort_by("event_time")


class FirstWordStands(PolarsEngine):
    """Breaks 4: corrections are passed over."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Keep the row of each event that was created first."""

        def first(rows: pa.Table) -> pa.Table:
            ordered = rows.sort_by("created_at").append_column("_n", pa.array(range(len(rows))))
            kept = ordered.group_by(["customer", "event_time"]).aggregate([("_n", "min")])["_n_min"]
            return ordered.take(kept).drop_columns("_n")

        return super().point_in_time(labels, with_rows(views, first))


class TakesAnyOfABatch(PolarsEngine):
    """Breaks 4: of rows created together the first that comes counts."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Keep one row of each creation."""

        def first(rows: pa.Table) -> pa.Table:
            numbered = rows.append_column("_n", pa.array(range(len(rows))))
            kept = numbered.group_by(["customer", "created_at"]).aggregate([("_n", "min")])["_n_min"]
            return rows.take(kept)

        return super().point_in_time(labels, with_rows(views, first))


class TakesAllColumns(PolarsEngine):
    """Breaks 3: a column of the platform's becomes a feature."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Give one of them another name."""
        return super().point_in_time(labels, with_rows(views, lambda rows: rows.rename_columns({"_date": "date"})))


class NakedTimes(PolarsEngine):
    """Breaks 3: a time without zone is taken for UTC."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Give every time a zone."""

        def zoned(table: pa.Table) -> pa.Table:
            for name in {"event_time", "created_at"} & set(table.column_names):
                table = with_column(table, name, table[name].cast(pa.timestamp("us", "UTC")))
            return table

        return super().point_in_time(zoned(labels), with_rows(views, zoned))


class ForgetsTheLimit(PolarsEngine):
    """Breaks 5: old rows live for ever."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Drop ``ttl_days``."""
        return super().point_in_time(labels, [replace(v, view=replace(v.view, ttl_days=None)) for v in views])


class ExactlyOldIsTooOld(PolarsEngine):
    """Breaks 5: a row exactly as old as its limit is dropped."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Shorten ``ttl_days`` by a little."""
        shorter = [replace(v, view=replace(v.view, ttl_days=v.view.ttl_days and v.view.ttl_days - 1e-6)) for v in views]
        return super().point_in_time(labels, shorter)


class LeavesItsOrder(PolarsEngine):
    """Breaks 6: rows come out in the order of what came in."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Let the first raw row decide the order."""
        found = super().compute_view(view, raw)
        return found.take(pa.array(range(len(found)))[::-1]) if len(raw) and raw["amount"][0].as_py() > 3 else found


class SumsInTheirOrder(PolarsEngine):
    """Breaks 6: the last bits depend on the order of rows."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Add what the order of rows makes of a sum."""
        found, total = super().compute_view(view, raw), 0.0
        for amount in raw["amount"].to_pylist():
            total += amount
        return with_column(found, "spend", pc.add(found["spend"], total - sum(sorted(raw["amount"].to_pylist()))))


class NullsAreAlike(PolarsEngine):
    """Breaks 7: a null key finds the rows of null keys."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Give nulls a number."""

        def filled(table: pa.Table) -> pa.Table:
            return with_column(table, "customer", pc.fill_null(table["customer"], -1))

        return super().point_in_time(filled(labels), with_rows(views, filled))


class WholeLabels(PolarsEngine):
    """Breaks 8: labels are whole numbers."""

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Cast them."""
        found = super().compute_labels(labels, raw)
        return with_column(found, "label", found["label"].cast(pa.int64()))


class NullMeansNo(PolarsEngine):
    """Breaks 8: a label that is not known becomes 0."""

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Fill nulls."""
        found = super().compute_labels(labels, raw)
        return with_column(found, "label", pc.fill_null(found["label"], 0.0))


class TakesWhatIsNoMore(PolarsEngine):
    """Breaks 10: a row that says that there is none is a row of nulls, and what it ended is there as ever."""

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Forget the ends."""
        return super().point_in_time(labels, [ViewRows(each.view, each.rows.drop_columns(["_gone"])) for each in views])


def test_kit_catches_what_takes_rows_that_are_no_more() -> None:
    """The tenth promise is of the histories' kit."""
    assert_catches(EngineHistoriesKit, "test_10_what_is_no_more_is_not_taken", engine=TakesWhatIsNoMore())


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (KeepsSmallTypes, "test_2_one_row_per_entity_and_event_time"),
        (KnowsAtOnce, "test_2_created_when_all_it_may_rest_on_had_arrived"),
        (OwnArrivalOnly, "test_2_created_when_all_it_may_rest_on_had_arrived"),
        (RequestsArrive, "test_2_what_the_request_brings_is_known_then"),
        (LivesElsewhere, "test_2_hours_and_days_are_those_in_utc"),
        (TakesAllColumns, "test_3_the_platforms_own_columns_are_no_features"),
        (NakedTimes, "test_3_times_without_zone_and_unlike_keys_are_refused"),
        (LooksAtEventsOnly, "test_3_features_as_known_at_the_event"),
        (LatestKnowledgeWins, "test_3_an_older_event_learnt_later_is_no_news"),
        (SortsLabels, "test_3_features_as_known_at_the_event"),
        (FirstWordStands, "test_4_the_correction_counts_once_it_is_known"),
        (TakesAnyOfABatch, "test_4_of_rows_created_together_the_newest_event_counts"),
        (ForgetsTheLimit, "test_5_too_old_is_null"),
        (ExactlyOldIsTooOld, "test_5_too_old_is_null"),
        (LeavesItsOrder, "test_6_the_order_of_rows_does_not_matter"),
        (SumsInTheirOrder, "test_6_the_order_of_rows_does_not_matter"),
        (NullsAreAlike, "test_7_a_null_key_joins_nothing"),
        (WholeLabels, "test_8_labels_in_the_platforms_words"),
        (NullMeansNo, "test_8_labels_in_the_platforms_words"),
    ],
)
def test_kit_catches(mutant: type[Engine], promise: str) -> None:
    """An engine that breaks one promise fails that promise's test."""
    assert_catches(EngineKit, promise, engine=mutant())


class ScoresPartsAsTheyCome(PolarsEngine):
    """Breaks 11: the part that is done first stands first."""

    def score(self, package: Path, rows: pa.Table, score: ScoreRows) -> Sequence[float]:
        """Score two halves, and put the second first."""
        half = len(rows) // 2
        return [*score(package, rows.slice(half)), *score(package, rows.slice(0, half))]


class GivesOneNumberARow(PolarsEngine):
    """Breaks 11: of a model that gives each row two numbers half are lost."""

    def score(self, package: Path, rows: pa.Table, score: ScoreRows) -> Sequence[float]:
        """Take as many as there are rows."""
        return list(score(package, rows))[: len(rows)]


@pytest.mark.parametrize("mutant", [ScoresPartsAsTheyCome, GivesOneNumberARow])
def test_kit_catches_scores_of_other_rows(mutant: type[Engine], tmp_path: Path) -> None:
    """Out of order, or not all of them."""
    assert_catches(EngineKit, "test_11_each_row_gets_its_score", engine=mutant(), tmp_path=tmp_path)
