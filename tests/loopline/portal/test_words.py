"""How figures and times are written, and where links lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict, WindowVerdict
from loopline.platform_core.monitor.drift.drift_windows import Place, Window
from loopline.platform_core.specs import Drift
from loopline.portal import filters
from loopline.portal.links import Links
from loopline.portal.model.drift import _alarms
from loopline.portal.page import Slice

NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.25, "250 ms"),
        (12, "12 s"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (200_000, "2 d 7 h"),
        (None, filters.NOTHING),
    ],
)
def test_a_duration_is_told_in_two_units(seconds: float | None, said: str) -> None:
    """From milliseconds to days."""
    assert filters.span(seconds) == said
    assert filters.span(timedelta(seconds=seconds) if seconds is not None else None) == said


def test_a_time_says_its_zone_and_is_told_in_utc() -> None:
    """Whatever zone it came in; the seconds are in its title."""
    there = NOON.astimezone(timezone(timedelta(hours=5)))
    html = filters.when(there)
    assert "2026-03-01 12:00 <abbr>UTC</abbr>" in html
    assert 'title="2026-03-01 12:00:30 UTC"' in html
    assert filters.when(None) == filters.NOTHING


def test_numbers_stand_in_line() -> None:
    """Scores with four decimals, counts in groups of three, shares in percent, what is missing as a dash."""
    assert [filters.figure(value) for value in (0.65, 0.69572, 31.5, None)] == [
        "0.6500",
        "0.6957",
        "31.5",
        filters.NOTHING,
    ]
    assert [filters.number(value) for value in (1234567, 0.123456, 4562.0, None)] == [
        "1\u202f234\u202f567",
        "0.1235",
        "4\u202f562",
        filters.NOTHING,
    ]
    assert (filters.share(0.0321), filters.counted(1, "model"), filters.counted(2, "model")) == (
        "3.2 %",
        "1 model",
        "2 models",
    )


def test_a_figure_has_its_unit_and_money_is_written_out() -> None:
    """A currency is what has three capital letters; the thousands stand apart as elsewhere on the pages."""
    assert filters.amount(9.609e-05, "USD") == "0.000096 USD"
    assert filters.amount(12_345.6, "EUR") == "12\u202f345.60 EUR"
    assert filters.amount(12.5, "ms") == "12.5 ms"
    assert filters.amount(None, "USD") == f"{filters.NOTHING} USD"


def test_a_long_text_is_cut_and_stays_in_its_title() -> None:
    """Escaped in both."""
    html = filters.clipped("<b>" + "x" * 300, width=20)
    assert "<b>" not in html
    assert html.count("&lt;b&gt;") == 2


def test_an_address_as_json() -> None:
    """Before the query, which stays."""
    assert filters.json_of("/a/b") == "/a/b.json"
    assert filters.json_of("/a/b?column=x.y&n=1") == "/a/b.json?column=x.y&n=1"


def test_without_neighbours_there_are_no_links() -> None:
    """With them, names are quoted."""
    ref = ModelRef("shop", "returns")
    bare = Links()
    assert {
        bare.asset("shop", "raw", "a"),
        bare.run("r"),
        bare.runs_of_cycle("c"),
        bare.endpoint(ref),
        bare.openapi(),
    } == {""}
    links = Links(dagster="http://d", inference="http://i")
    assert links.runs_of_cycle("shop.a&b") == "http://d/runs?q%5B0%5D=tag%3Aloopline%2Fcycle%3Dshop.a%26b"
    assert links.endpoint(ref) == "http://i/v2/models/shop.returns"


def test_an_alarm_is_marked_where_it_begins() -> None:
    """Once while it stands, again when it came back."""
    moved = [False, True, True, True, False, False, False, True, True]
    windows = [_window(number, drifted=drifted) for number, drifted in enumerate(moved)]
    marks = _alarms(windows, Drift(alarms=2, windows=3, share=1.0))
    assert [mark.at.day for mark in marks] == [3, 9]


def test_a_slice_ends_at_the_last_row() -> None:
    """Also on the last page."""
    assert [Slice(0, 50, 64).end, Slice(50, 50, 64).end] == [50, 64]


def _window(number: int, *, drifted: bool) -> Window:
    columns = {"a": ColumnVerdict(0.2, 0.1, drifted, 0, 0), "b": ColumnVerdict(0.01, 0.1, False, 0, 0)}
    at = datetime(2026, 3, number + 1, tzinfo=UTC).isoformat()
    return Window(number, None, Place(at, "r", 0), WindowVerdict(900, True, columns))
