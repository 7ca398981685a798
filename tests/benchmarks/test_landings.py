"""What the checks of a landing promise: one right landing in a hundred is doubted at most, and wrong ones are found."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.landings import CENTS, HUNDRED, SWAPPED, THIRD, VALUES, measure

BOUND = 0.01
EVERY_KIND = {CENTS, HUNDRED, SWAPPED, THIRD, VALUES}


@pytest.mark.parametrize(("name", "seeds", "least"), [("small panel", 4, 500), ("panel", 2, 250), ("census", 6, 150)])
def test_right_landings_pass_and_wrong_ones_are_found_at_once(name: str, seeds: int, least: int) -> None:
    """With a file a week or year from the beginning, and after one file of a history."""
    tally = measure(name, range(seeds), every=10)
    assert tally.judged >= least
    assert tally.doubted <= BOUND * tally.judged
    assert set(tally.tried) == EVERY_KIND
    assert all(tally.found[kind] == count for kind, count in tally.tried.items() if kind != SWAPPED)
    assert tally.found[SWAPPED] >= 0.95 * tally.tried[SWAPPED]  # in a promotion the price may be the cost


def test_the_demos_sales_pass_and_wrong_ones_are_found_at_once() -> None:
    """A row a series and day, so that also a third of the rows is missed."""
    tally = measure("retail, sales", [0], every=20)
    assert tally.doubted <= BOUND * tally.judged
    assert tally.found == tally.tried


def test_the_demos_orders_pass_and_wrong_values_are_found_at_once() -> None:
    """Days differ by more than a third of their rows, so that this is not found; an odd day is none of a hundred."""
    tally = measure("retail, orders", [0], every=20)
    assert tally.doubted <= BOUND * tally.judged
    assert tally.found - Counter({THIRD: tally.found[THIRD]}) == tally.tried - Counter({THIRD: tally.tried[THIRD]})
