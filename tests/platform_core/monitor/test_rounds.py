"""A panel is told by the time after which its entities come back, and its rounds are not cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.monitor.drift.block_cuts import DAY, cuts
from loopline.platform_core.monitor.drift.rounds import Panel, bounds, distinct, numbered, panel, rounds

WEEK = 7 * DAY
SHOPS, WEEKS = 60, 20


def weekly(spread: float = 0, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a row a shop and week in order of time, within so many seconds, of which some never came."""
    random = np.random.default_rng(0)
    times = np.repeat(np.arange(WEEKS) * WEEK, SHOPS) + random.integers(0, max(int(spread), 1), WEEKS * SHOPS)
    shops = np.tile(np.arange(SHOPS), WEEKS)
    order = np.argsort(times, kind="stable")
    order = order[random.random(len(order)) >= missing]
    return times[order], shops[order]


@pytest.mark.parametrize("spread", [0, 3_600, 2 * DAY])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_panel_is_found_and_its_weeks_are_rounds(spread: float, missing: float) -> None:
    """At one instant, within an hour or two days, also where a tenth of the rows is missing."""
    times, shops = weekly(spread, missing)
    found = panel(times, shops)
    assert found is not None
    assert found.seconds == pytest.approx(WEEK, rel=0.05)
    assert SHOPS * (1 - 2 * missing) <= found.entities <= SHOPS
    assert rounds(times, shops, found.seconds).tolist() == (times // WEEK).tolist()


def test_shops_that_come_each_on_its_own_day_make_rounds_too() -> None:
    """Each round has every shop once, whatever the day on which the first row was."""
    shops = np.tile(np.arange(SHOPS), WEEKS)
    times = np.repeat(np.arange(WEEKS) * WEEK, SHOPS) + shops * WEEK // SHOPS
    numbers = rounds(times[7:], shops[7:], panel(times, shops).seconds)
    assert distinct(numbers, shops[7:])[:-1].tolist() == [SHOPS] * (WEEKS - 1)
    assert np.bincount(numbers)[:-1].tolist() == [SHOPS] * (WEEKS - 1)


def test_two_batches_a_week_are_one_round() -> None:
    """Half of the shops on Monday and half on Saturday: the longest pause parts the rounds."""
    shops = np.tile(np.arange(SHOPS), WEEKS)
    times = np.repeat(np.arange(WEEKS) * WEEK, SHOPS) + (shops >= SHOPS // 2) * 5 * DAY
    numbers = rounds(times, shops, panel(times, shops).seconds)
    assert distinct(numbers, shops)[1:-1].tolist() == [SHOPS] * (WEEKS - 1)


def test_who_comes_by_chance_once_or_seldom_is_no_panel() -> None:
    """Customers come back after any time, people of a census once, and seven weeks tell of no rhythm."""
    random = np.random.default_rng(0)
    times = np.sort(random.integers(0, 20 * WEEK, 4_000))
    assert panel(times, random.integers(0, 300, 4_000)) is None
    assert panel(times, random.integers(0, 2, 4_000)) is None
    assert panel(times, np.arange(4_000)) is None
    assert panel(times[:0], times[:0]) is None
    few = weekly()
    assert panel(few[0][: 7 * SHOPS], few[1][: 7 * SHOPS]) is None
    assert panel(few[0][: 8 * SHOPS], few[1][: 8 * SHOPS]) == Panel(WEEK, SHOPS)


def test_a_round_ends_although_nobody_comes_back() -> None:
    """Where other shops are asked each time, a pause or a week and a half ends it."""
    times, shops = np.arange(6) * WEEK, np.arange(6)
    assert rounds(times, shops, WEEK).tolist() == [0, 1, 2, 3, 4, 5]
    assert rounds(times // 2, shops, WEEK).tolist() == [0, 0, 0, 1, 1, 1]
    assert rounds(times[:0], shops[:0], WEEK).tolist() == []


@pytest.mark.parametrize(
    ("sizes", "least", "most", "expected"),
    [
        ([80] * 6, 160, 12, [160, 160, 160]),
        ([80] * 7, 200, 12, [240, 320]),
        ([80] * 7, 160, 2, [240, 320]),
        ([80, 5, 80, 80], 160, 12, [245]),
        ([80], 160, 12, []),
        ([], 160, 12, []),
    ],
)
def test_windows_are_even_numbers_of_whole_rounds(sizes, least, most, expected) -> None:
    """Each has the fewest rows at least, also around a round of few rows."""
    numbers = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
    assert np.diff(bounds(numbers, least, most)).tolist() == expected


def test_blocks_of_a_panel_hold_whole_rounds() -> None:
    """By rows and by time no block holds a part of a week, although a week's rows come within an hour of each other."""
    times, shops = weekly(3_600)
    found = panel(times, shops)
    numbers = rounds(times, shops, found.seconds)
    made = list(cuts(np.arange(len(times)), (numbers * found.seconds).astype(int), 100, numbers))
    assert {cut.by for cut in made} == {"rows", "seconds"}
    for block in (block for cut in made for block in cut.blocks):
        assert np.bincount(shops[block], minlength=SHOPS).tolist() == [len(block) / SHOPS] * SHOPS


def test_entities_are_numbered_by_all_their_columns() -> None:
    """Two shops of one name in two towns are two; a name that is missing is one as well."""
    towns, names = pa.chunked_array([["a", "b", "a", None]]), pa.chunked_array([[1, 1, 1, None]])
    assert numbered([towns, names]).tolist() == [0, 1, 0, 2]
    assert numbered([names]).tolist() == [0, 0, 0, 1]
    assert numbered([pa.chunked_array([["x"], ["y", "x"]])]).tolist() == [0, 1, 0]
