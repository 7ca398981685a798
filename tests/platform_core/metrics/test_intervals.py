"""Intervals hold the truth as often as they say."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from loopline.platform_core.metrics import Predictions, intervals
from loopline.platform_core.metrics.intervals import Interval
from loopline.platform_core.monitor.quality.figures import realised
from loopline.platform_core.targets.binary import METRICS, Binary

TIMES = 2_000


def held(draw: Callable[[np.random.Generator], Interval | None], truth: float) -> float:
    """Return the share of simulated intervals that hold the truth."""
    random = np.random.default_rng(7)
    found = [one for _ in range(TIMES) if (one := draw(random)) is not None]
    return float(np.mean([one.low <= truth <= one.high for one in found]))


@pytest.mark.parametrize(("truth", "rows"), [(0.1, 100), (0.5, 60), (0.9, 400), (0.02, 1_000)])
def test_shares(truth: float, rows: int) -> None:
    """Wilson's interval of a share, whether it is rare or not."""
    assert 0.93 <= held(lambda r: intervals.share(r.binomial(rows, truth), rows), truth) <= 0.97


@pytest.mark.parametrize(("one", "other", "rows"), [(0.8, 0.6, 80), (0.1, 0.15, 300), (0.5, 0.5, 60)])
def test_differences_of_shares(one: float, other: float, rows: int) -> None:
    """Newcombe's interval of the difference between two groups of unequal size."""

    def draw(r: np.random.Generator) -> Interval:
        sides = intervals.share(r.binomial(rows, one), rows), intervals.share(r.binomial(4 * rows, other), 4 * rows)
        return intervals.difference(*sides)

    assert 0.93 <= held(draw, one - other) <= 0.97


@pytest.mark.parametrize(("area", "rows"), [(0.6, 120), (0.7, 500), (0.9, 500), (0.8, 2_000)])
def test_areas_under_the_curve(area: float, rows: int) -> None:
    """DeLong's interval, with one positive in seven: from 17 positives on."""
    apart = NormalDist().inv_cdf(area) * np.sqrt(2)

    def draw(r: np.random.Generator) -> Interval | None:
        labels = (r.random(rows) < 1 / 7).astype(float)
        return intervals.area(labels, r.normal(labels * apart))

    assert 0.93 <= held(draw, area) <= 0.97


@pytest.mark.parametrize("rows", [2, 3, 5, 20])
def test_means_of_few_rows(rows: int) -> None:
    """Two rows tell little, and the interval says so: it is Student's, wide as that is."""
    assert 0.93 <= held(lambda r: intervals.mean(r.normal(size=rows)), 0.0) <= 0.97
    assert intervals.student(0.975, 1) == pytest.approx(12.7062, abs=1e-4)
    assert intervals.student(0.975, 2) == pytest.approx(4.3027, abs=1e-4)


@pytest.mark.parametrize("name", ["log_loss", "brier"])
@pytest.mark.parametrize("rows", [100, 500])
def test_losses(name: str, rows: int) -> None:
    """Means of skewed losses, of a model that says what is so."""

    def losses(r: np.random.Generator, count: int) -> Predictions:
        chances = r.beta(1, 6, count) * 0.98 + 0.01
        labels = (r.random(count) < chances).astype(float)
        return Binary().rows(labels, chances)

    truth = METRICS[name].value(losses(np.random.default_rng(1), 4_000_000))
    assert truth is not None
    assert 0.93 <= held(lambda r: METRICS[name].interval(losses(r, rows)), truth) <= 0.97


def test_the_area_and_its_spread_are_those_of_the_textbook() -> None:
    """DeLong's variance by its definition, pair by pair, ties among them."""
    random = np.random.default_rng(5)
    above, below = np.round(random.normal(1, 1, 40), 1), np.round(random.normal(0, 1, 60), 1)
    wins = (above[:, None] > below) + (above[:, None] == below) / 2
    spread = np.sqrt(wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 60)
    assert intervals.delong(above, below) == (pytest.approx(wins.mean()), pytest.approx(spread))


def test_a_perfect_ranking_is_not_certain() -> None:
    """Ten positives, all on top: the area may well be 0.7."""
    labels = np.array([0.0] * 90 + [1.0] * 10)
    found = intervals.area(labels, labels + np.linspace(0, 0.5, 100))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 0.8
    turned = intervals.area(labels, -labels)
    assert (turned.low, round(1 - turned.high, 9)) == (0.0, round(found.low, 9))


def test_what_rows_cannot_tell_is_left_out() -> None:
    """Without labels there is no figure, with one kind of them no area; an even loss has no spread."""
    assert list(realised(Binary().rows(np.empty(0), np.empty(0)), METRICS.values())) == []
    alike = {figure.metric for figure in realised(Binary().rows(np.ones(5), np.full(5, 0.7)), METRICS.values())}
    assert alike == {one.name for one in METRICS.values() if one.needs_labels} - {"roc_auc", "false_positive_rate"}
    assert intervals.mean(np.full(5, 0.25)) == Interval(0.25, 0.25, 0.25)
