"""Intervals that hold at all looks, sizes that keep their power, and splits that are noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from loopline.platform_core.experiments import sequence
from loopline.platform_core.experiments.outcomes import Entities, adjusted

Draw = Callable[[np.random.Generator, int], np.ndarray]
PLANNED = 2_000
KINDS: dict[str, Draw] = {
    "shares of 5 %": lambda random, size: (random.random(size) < 0.05).astype(float),
    "spend, mostly none": lambda random, size: (random.random(size) < 0.2) * random.lognormal(3, 1, size),
}


def ever(draw: Draw, share: float, effect: float, planned: int, experiments: int) -> float:
    """Return the share of experiments that ever find a difference, in 25 looks from the first entities on."""
    random, found = np.random.default_rng(11), 0
    for _ in range(experiments):
        values, mine = draw(random, planned), random.random(planned) < share
        values = values + effect * mine
        for size in np.unique(np.geomspace(200, planned, 25).astype(int)):
            side, some = mine[:size], values[:size]
            seen = sequence.difference(some[side], some[~side], share, 0.05, planned)
            if seen is not None and not seen.low <= 0 <= seen.high:
                found += 1
                break
    return found / experiments


@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("kind", KINDS)
def test_two_alike_are_rarely_told_apart_however_often_one_looks(kind, share):
    """In 5 of 100 experiments at most, also where few meet the candidate and the outcome is rare."""
    assert ever(KINDS[kind], share, 0.0, PLANNED, 40) <= 0.05


def test_one_look_made_for_one_look_would_be_wrong_more_often():
    """The usual interval, looked at as often, finds what is not there in far more of them."""
    random, wrong = np.random.default_rng(5), 0
    for _ in range(50):
        values, mine = random.normal(size=PLANNED), random.random(PLANNED) < 0.5
        for size in np.geomspace(200, PLANNED, 40).astype(int):
            one, other = values[:size][mine[:size]], values[:size][~mine[:size]]
            error = (one.var() / len(one) + other.var() / len(other)) ** 0.5
            if abs(one.mean() - other.mean()) > 1.96 * error:
                wrong += 1
                break
    assert wrong > 7


def test_the_size_has_the_power_that_it_says():
    """An effect is found in at least 8 of 10, give or take what chance makes of 60 of them."""
    size = sequence.size(1.0, 0.5, 0.2, 0.05, 0.8)
    assert size.fixed == 785  # 16 s²/d² of textbooks, less rounding: 4 * (1.960 + 0.842)² / 0.2²
    assert ever(lambda random, many: random.normal(size=many), 0.5, 0.2, size.sequential, 60) >= 0.7


@pytest.mark.parametrize(("candidate", "proven"), [(5_000, False), (5_100, False), (5_300, True)])
def test_a_split_is_doubted_when_it_is_proven(candidate, proven):
    """Of 10,000 entities 53 % on one side are no chance; 51 % may be."""
    evidence = sequence.evidence_of_split(candidate, 10_000 - candidate, 0.5)
    assert (evidence >= 1 / sequence.ALIKE) is proven


def test_what_was_so_before_is_taken_off():
    """Where the past tells most of an entity, the spread shrinks, and the difference stays."""
    random = np.random.default_rng(2)
    before, side = random.normal(50, 10, 2_000), random.random(2_000) < 0.5
    values = before + random.normal(0, 3, 2_000) + 2.0 * side
    every = np.ones(2_000, bool)
    found = adjusted(Entities(values, before, every), every, side)
    assert found[side].std() < 0.4 * values[side].std()
    assert found[side].mean() - found[~side].mean() == pytest.approx(2.0, abs=0.4)
    unknown = Entities(values, np.full(2_000, np.nan), every)
    assert adjusted(unknown, every, side) is not found
    assert np.array_equal(adjusted(unknown, every, side), values)
