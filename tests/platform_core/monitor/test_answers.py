"""What a version answered is read from tables of before a column was kept, too."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from loopline.platform_core.foundation.names import DATE, prediction_table
from loopline.platform_core.monitor.drift.answers import COLUMNS, answers, resumed
from loopline.platform_core.monitor.drift.drift_windows import Place
from loopline.platform_core.monitor.quality.predictions import compact

LATER = (*COLUMNS, "missing", "stale", "asked_at")


def test_a_column_that_came_later_is_null(shop) -> None:
    """Rows of before are read with nulls: while the table has no such column, and beside rows that have it."""
    shop.answer(3)
    old = shop.serving.predictions(shop.ref.dotted)[0].drop_columns(["stale", "asked_at"])
    dates = old["event_time"].cast("date32")
    table = prediction_table(*shop.ref)
    shop.platform.lake.append(table, old.append_column(DATE, dates))
    rows = answers(shop.platform.lake, shop.ref, "1", None, columns=LATER)
    assert rows.column_names == list(LATER)
    assert (
        rows.select(["missing", "stale", "asked_at"]).to_pylist()
        == [{"missing": [], "stale": None, "asked_at": None}] * 3
    )
    shop.serving.log([shop._row({}, 0.5, "1") | {"stale": ["view"]}])
    compact(shop.platform, shop.team, shop.model)
    rows = answers(shop.platform.lake, shop.ref, "1", None, columns=LATER)
    assert sorted(map(str, rows["stale"].to_pylist())) == ["None"] * 6 + ["['view']"]


def test_what_happened_long_after_its_answer_is_left_out(shop) -> None:
    """Up to a day ahead a row counts; one of next century would be the last for ever."""
    shop.answer(4)
    log = shop.serving._log[shop.ref.dotted]
    for row, ahead in zip(log, (timedelta(0), timedelta(days=1), timedelta(days=1, microseconds=1)), strict=False):
        row["event_time"] = row["logged_at"] + ahead
    log[3]["event_time"] = log[3]["logged_at"].replace(year=2111)
    compact(shop.platform, shop.team, shop.model)
    rows = answers(shop.platform.lake, shop.ref, "1", None)
    assert rows["request_id"].to_pylist() == ["r000001", "r000002"]
    assert rows.column_names == list(COLUMNS)


def test_a_place_is_gone_on_from_unless_its_row_is_left_out(shop) -> None:
    """Then the instant at which it was noted takes its place; a platform's clock that is behind changes nothing."""
    shop.answer(2)
    row = shop.serving._log[shop.ref.dotted][1]
    row["event_time"] = row["logged_at"].replace(year=2111)
    compact(shop.platform, shop.team, shop.model)
    near = Place((shop.start + timedelta(seconds=1)).isoformat(), "r000001", 0)
    far = Place(row["event_time"].isoformat(), "r000002", 0)
    long_ago = shop.start - timedelta(days=100)
    resume = partial(resumed, shop.platform.lake, shop.ref)
    assert resume(near, shop.start) == resume(near, long_ago) == near
    assert resume(far, shop.start) == Place(shop.start.isoformat(), "", 0)
    assert resume(far._replace(row=1), shop.start) == far._replace(row=1)
