"""What a version answered is read from tables of before a column was kept, too."""

from __future__ import annotations

from platform_core.monitor.answers import COLUMNS, answers
from platform_core.monitor.predictions import compact
from platform_core.names import DATE, prediction_table

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
