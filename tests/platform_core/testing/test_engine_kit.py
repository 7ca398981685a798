"""The engine's kit catches a mutant for each promise from the second on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.engine import Engine, ScoreRows, ViewRows
from loopline.platform_core.specs import FeatureView, Labels
from loopline.platform_core.testing.engine import EngineKit
from loopline.platform_core.testing.engines.engine_histories import EngineHistoriesKit
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.resources.polars.engine import PolarsEngine
from tests.platform_core.testing.mutant import mutant, pairs


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Put other values into a column."""
    return table.set_column(table.column_names.index(name), name, values)


def with_rows(views: Sequence[ViewRows], change: Any) -> list[ViewRows]:
    """Change the offline rows before they are joined."""
    return [ViewRows(each.view, change(each.rows)) for each in views]


def view_otherwise(change: Any) -> dict[str, Any]:
    """Make an engine that changes what it has computed of a view."""
    return {"compute_view": lambda up, _, view, raw: change(up.compute_view(view, raw))}


def labels_otherwise(change: Any) -> dict[str, Any]:
    """Make an engine that changes the column of labels."""

    def compute_labels(up: Any, _: Any, labels: Labels, raw: pa.Table) -> pa.Table:
        found = up.compute_labels(labels, raw)
        return with_column(found, "label", change(found["label"]))

    return {"compute_labels": compute_labels}


def served(how: str) -> dict[str, Any]:
    """Make an engine that takes every view for one that is served so."""
    return {"compute_view": lambda up, _, view, raw: up.compute_view(replace(view, served=how), raw)}


def joined(change: Any) -> dict[str, Any]:
    """Make an engine that changes the offline rows before they are joined."""
    return {"point_in_time": lambda up, _, labels, views: up.point_in_time(labels, with_rows(views, change))}


def both(change: Any) -> dict[str, Any]:
    """Make an engine that changes labels and offline rows alike before they are joined."""
    return {"point_in_time": lambda up, _, labels, views: up.point_in_time(change(labels), with_rows(views, change))}


def zoned(table: pa.Table) -> pa.Table:
    """Give every time a zone."""
    for name in {"event_time", "created_at"} & set(table.column_names):
        table = with_column(table, name, table[name].cast(pa.timestamp("us", "UTC")))
    return table


def limited(ttl_days: Any) -> dict[str, Any]:
    """Make an engine that makes another limit of each view's."""

    def point_in_time(up: Any, _: Any, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        others = [replace(each, view=replace(each.view, ttl_days=ttl_days(each.view.ttl_days))) for each in views]
        return up.point_in_time(labels, others)

    return {"point_in_time": point_in_time}


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


class LivesElsewhere(PolarsEngine):
    """Breaks 2: a function sees the hours of another zone."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Shift the rows' times there, and the result's back."""
        there = pa.scalar(timedelta(hours=5, minutes=30))
        found = super().compute_view(view, with_column(raw, view.time, pc.add(raw[view.time], there)))
        return with_column(found, "event_time", pc.subtract(found["event_time"], there))


def first_of(keys: Sequence[str], rows: pa.Table) -> pa.Table:
    """Keep the first of the rows that agree in some columns."""
    numbered = rows.append_column("_n", pa.array(range(len(rows))))
    kept = numbered.group_by(keys).aggregate([("_n", "min")])["_n_min"]
    return rows.take(kept)


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


made = partial(mutant, PolarsEngine)
CAUGHT = {
    "test_2_one_row_per_entity_and_event_time": [
        # counts come out as they are counted
        made(
            "KeepsSmallTypes", **view_otherwise(lambda rows: with_column(rows, "orders", rows["orders"].cast("int32")))
        ),
    ],
    "test_2_created_when_all_it_may_rest_on_had_arrived": [
        # a row counts as known when it happened
        made("KnowsAtOnce", **served("request")),
        OwnArrivalOnly,
    ],
    # what a request brings counts as known only when its row arrived
    "test_2_what_the_request_brings_is_known_then": [made("RequestsArrive", **served("online"))],
    "test_2_hours_and_days_are_those_in_utc": [LivesElsewhere],
    "test_3_the_platforms_own_columns_are_no_features": [
        # one of them has another name
        made("TakesAllColumns", **joined(lambda rows: rows.rename_columns({"_date": "date"}))),
    ],
    # a time without zone is taken for UTC
    "test_3_times_without_zone_and_unlike_keys_are_refused": [made("NakedTimes", **both(zoned))],
    "test_3_features_as_known_at_the_event": [
        # a row is used from its event on, whenever it was created
        made("LooksAtEventsOnly", **joined(lambda rows: with_column(rows, "created_at", rows["event_time"]))),
        # the labels' order is lost
        made("SortsLabels", point_in_time=lambda up, _, *given: up.point_in_time(*given).sort_by("event_time")),
    ],
    "test_3_an_older_event_learnt_later_is_no_news": [
        # a late row of an older event hides the newest event
        made("LatestKnowledgeWins", **joined(lambda rows: with_column(rows, "event_time", rows["created_at"]))),
    ],
    "test_4_the_correction_counts_once_it_is_known": [
        # corrections are passed over: the row of each event that was created first stays
        made(
            "FirstWordStands", **joined(lambda rows: first_of(["customer", "event_time"], rows.sort_by("created_at")))
        ),
    ],
    "test_4_of_rows_created_together_the_newest_event_counts": [
        # of rows created together the first that comes counts
        made("TakesAnyOfABatch", **joined(lambda rows: first_of(["customer", "created_at"], rows))),
    ],
    "test_5_too_old_is_null": [
        # old rows live for ever
        made("ForgetsTheLimit", **limited(lambda _days: None)),
        # a row exactly as old as its limit is dropped
        made("ExactlyOldIsTooOld", **limited(lambda days: days and days - 1e-6)),
    ],
    "test_6_the_order_of_rows_does_not_matter": [LeavesItsOrder, SumsInTheirOrder],
    "test_7_a_null_key_joins_nothing": [
        # a null key finds the rows of null keys
        made("NullsAreAlike", **both(lambda rows: with_column(rows, "customer", pc.fill_null(rows["customer"], -1)))),
    ],
    "test_8_labels_in_the_platforms_words": [
        # labels are whole numbers
        made("WholeLabels", **labels_otherwise(lambda label: label.cast(pa.int64()))),
        # a label that is not known becomes 0
        made("NullMeansNo", **labels_otherwise(lambda label: pc.fill_null(label, 0.0))),
    ],
}


@pytest.mark.parametrize(("mutant", "promise"), pairs(CAUGHT))
def test_kit_catches(mutant: type[Engine], promise: str) -> None:
    """An engine that breaks one promise fails that promise's test."""
    assert_catches(EngineKit, promise, engine=mutant())


def test_kit_catches_what_takes_rows_that_are_no_more() -> None:
    """A row that says that there is none is one of nulls, and what it ended is there as ever."""
    takes = made("TakesWhatIsNoMore", **joined(lambda rows: rows.drop_columns(["_gone"])))
    assert_catches(EngineHistoriesKit, "test_10_what_is_no_more_is_not_taken", engine=takes())


class ScoresPartsAsTheyCome(PolarsEngine):
    """Breaks 11: the part that is done first stands first."""

    def score(self, package: Path, rows: pa.Table, score: ScoreRows) -> Sequence[float]:
        """Score two halves, and put the second first."""
        half = len(rows) // 2
        return [*score(package, rows.slice(half)), *score(package, rows.slice(0, half))]


# of a model that gives each row two numbers half are lost
GivesOneNumberARow = made(
    "GivesOneNumberARow", score=lambda _up, _, package, rows, score: [*score(package, rows)][: len(rows)]
)


@pytest.mark.parametrize("mutant", [ScoresPartsAsTheyCome, GivesOneNumberARow])
def test_kit_catches_scores_of_other_rows(mutant: type[Engine], tmp_path: Path) -> None:
    """Out of order, or not all of them."""
    assert_catches(EngineKit, "test_11_each_row_gets_its_score", engine=mutant(), tmp_path=tmp_path)
