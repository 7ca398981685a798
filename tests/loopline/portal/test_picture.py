"""A chart laid out as a picture: round ticks, a calendar's times, broken lines, bands, and odd input."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.portal.filters import NOTHING, TIMES, valued
from loopline.portal.page import Chart, Line, Mark, Point
from loopline.portal.picture import SIDE, drawn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLOATS = st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: value if abs(value) > 1e-9 else 0.0)
INSTANTS = st.floats(3e7, 3e10).map(lambda second: datetime.fromtimestamp(second, UTC))
POINTS = st.lists(st.builds(Point, INSTANTS, st.none() | FLOATS, st.none() | FLOATS, st.none() | FLOATS), max_size=30)


def chart(*values: float | None, step: timedelta = timedelta(days=1), **more: float) -> Chart:
    """Make a chart of one line."""
    return Chart("a", [Line("b", [Point(NOON + n * step, value) for n, value in enumerate(values)])], [], **more)


def test_lines_go_from_edge_to_edge_and_are_broken_where_nothing_is_known() -> None:
    """The first point is left, the highest on top, and no line goes over a gap."""
    found = drawn(chart(0, 10, None, 5))
    assert found is not None
    assert found.strokes[0].path == f"M0 {SIDE}L333 0M{SIDE} 500"
    assert found.strokes[0].dots == f"M0 {SIDE}h0M333 0h0M{SIDE} 500h0"


def test_an_interval_is_an_area_between_its_ends() -> None:
    """There along its upper ends, back along the lower; of one point alone there is none."""
    points = [Point(NOON, 5, 0, 10), Point(NOON + timedelta(days=1), 5, 2, 8)]
    found = drawn(Chart("a", [Line("b", points), Line("c", points[:1])], []))
    assert found is not None
    assert [stroke.band for stroke in found.strokes] == ["M0 0L1000 200L1000 800L0 1000Z", ""]


@pytest.mark.parametrize(
    ("values", "low", "labels"),
    [
        ((0.71, 0.78), None, ["0.78", "0.76", "0.74", "0.72", "0.7"]),
        ((3.0, 17.0), 0.0, ["20", "15", "10", "5", "0"]),
        ((-4.0, 6.0), 0.0, ["7.5", "5", "2.5", "0", "-2.5", "-5"]),
        ((0.0, 0.0), 0.0, ["1", "0.75", "0.5", "0.25", "0"]),
        ((12_000.0, 48_000.0), 0.0, ["60,000", "40,000", "20,000", "0"]),
    ],
)
def test_values_stand_at_round_numbers(values: tuple[float, ...], low: float | None, labels: list[str]) -> None:
    """From the top down, around all that is drawn."""
    found = drawn(chart(*values, y_from=low))  # type: ignore[arg-type]
    assert found is not None
    assert [tick.label for tick in found.y] == labels
    assert (found.y[0].place, found.y[-1].place) == (0, 100)


@pytest.mark.parametrize(
    ("step", "labels"),
    [
        (timedelta(minutes=20), ["12:00", "12:15", "12:30", "12:45", "13:00"]),
        (timedelta(hours=8), ["12:00", "18:00", "2 Mar", "06:00", "12:00"]),
        (timedelta(days=10), ["2 Mar", "9 Mar", "16 Mar", "23 Mar", "30 Mar"]),
        (timedelta(days=60), ["Apr 2026", "May 2026", "Jun 2026", "Jul 2026", "Aug 2026"]),
        (timedelta(days=3000), ["2028", "2032", "2036", "2040", "2044", "2048"]),
    ],
)
def test_times_stand_where_a_calendar_turns(step: timedelta, labels: list[str]) -> None:
    """At hours, days, Mondays, firsts of a month, and years; never more than a handful."""
    found = drawn(chart(1, 2, 3, 4, step=step))
    assert found is not None
    assert [tick.label for tick in found.x][: len(labels)] == labels
    assert len(found.x) <= 8


@given(st.lists(POINTS, max_size=3), st.none() | st.just(0.0), st.sampled_from(["", "%", "ms"]))
def test_whatever_is_known_lies_in_the_field(lines: list[list[Point]], low: float | None, unit: str) -> None:
    """No point of a line falls out of the box, no picture is endless, whatever the figures are."""
    made = Chart("a", [Line("b", points) for points in lines], [Mark(NOON, "c")], unit, low)
    found = drawn(made)
    known = any(value is not None for points in lines for p in points for value in (p.value, p.low, p.high))
    assert (found is not None) == known
    if found is None:
        return
    for stroke in found.strokes:
        places = [int(number) for number in re.findall(r"-?\d+", stroke.path)]
        assert all(0 <= place <= SIDE for place in places)
    assert 1 <= len(found.y) <= 9
    assert len(found.x) <= 9


def test_values_are_written_in_four_figures() -> None:
    """With their unit; nothing is lost of whole numbers."""
    written = [valued(0.71234, ""), valued(0.5, "%"), valued(1.25, TIMES), valued(12.0, "ms"), valued(None, "ms")]
    assert written == ["0.7123", "50 %", f"1.25{TIMES}", "12 ms", NOTHING]
    assert [valued(value, "") for value in (0.0, 1234567.0, 1e-7, -2.5)] == ["0", "1,235,000", "0.0000001", "-2.5"]


def bounded(*values: float, bound: float = 1.0) -> Chart:
    """Make a chart of one line and its bound."""
    given = chart(*values, unit=TIMES, y_from=0)  # type: ignore[arg-type]
    line = Line("bound", [Point(point.at, bound) for point in given.lines[0].points], "bound")
    return replace(given, lines=[*given.lines, line])


def test_a_spike_is_cut_and_its_bound_stays_in_sight() -> None:
    """A value 600 times the bound ends at the top, marked once a stretch; the bound is an eighth up."""
    found = drawn(bounded(0.5, 600, 590, 0.5, 20))
    assert found is not None
    assert (found.top, found.farthest) == (8, f"600{TIMES}")
    assert [(cut.place, cut.side, cut.colour) for cut in found.cuts] == [(25, 1, 1), (100, 1, 1)]
    assert found.strokes[0].path == f"M0 938L250 0L500 0L750 938L{SIDE} 0"
    assert found.strokes[1].path.startswith("M0 875L")


def test_a_fall_is_cut_too_and_what_lies_within_is_not() -> None:
    """Below a negative bound likewise; eight times a bound is drawn to scale, and a bound of nothing cuts nothing."""
    fallen = drawn(bounded(-600, 0.5, bound=-1.0))
    assert fallen is not None
    assert ([(cut.place, cut.side) for cut in fallen.cuts], fallen.farthest) == ([(0, -1)], f"-600{TIMES}")
    for within in (bounded(0.5, 8), bounded(0.5, 600, bound=0.0), chart(0.5, 600)):
        found = drawn(within)
        assert found is not None
        assert (found.cuts, found.farthest) == ([], "")
