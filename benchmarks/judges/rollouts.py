"""Simulated rollouts: the traffic of both sides, known as far as it has come by each look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.specs import (
    P99,
    Both,
    ErrorRate,
    Judge,
    LogMetric,
    Pairs,
    RealisedQuality,
    ScoreShift,
    Slower,
    Traffic,
)

Floats = NDArray[np.float64]
ROWS, LOOKS, BESIDE = 1_000, 50, 4
"""Requests of the candidate in a rollout, looks at it, and requests of the stable version for each of its."""
NONE = np.empty(0)
SPREAD = float(np.sqrt(8 / 810))
"""Standard deviation of Beta(1, 8), a skewed distribution of scores such as rare events have."""
AGREED = 0.9
"""Correlation of what two versions make of a row, of which one was trained a month after the other."""


@dataclass(frozen=True)
class Sides:
    """A rollout as it will have been at its end."""

    candidate: Traffic
    stable: Traffic
    pairs_each: int = 0

    def by(self, rows: int) -> tuple[Traffic, Traffic]:
        """Return what was there when the candidate had answered so many requests, each of which makes so many pairs.

        At 20 percent it makes five, since what the stable version answers is replayed through the candidate too.
        """
        candidate, stable = first(self.candidate, rows), first(self.stable, BESIDE * rows)
        pairs = self.candidate.pairs
        return replace(candidate, pairs=pairs and first_pairs(pairs, self.pairs_each * rows)), stable


def first(side: Traffic, rows: int) -> Traffic:
    """Cut traffic after so many requests; ``errors`` are counted where the log says so."""
    assert side.log is not None
    log = side.log.slice(0, rows)
    errors = int(np.sum(log["failed"].to_numpy())) if "failed" in log.column_names else 0
    latency_ms, scores, labels, labelled = (
        array[:rows] for array in (side.latency_ms, side.scores, side.labels, side.labelled_scores)
    )
    return Traffic(len(log), errors, latency_ms, scores, labels, labelled, log)


def first_pairs(pairs: Pairs, rows: int) -> Pairs:
    """Cut pairs after so many rows."""
    scores, latency_ms, labelled = (
        Both(both.candidate[:rows], both.stable[:rows])
        for both in (pairs.scores, pairs.latency_ms, pairs.labelled_scores)
    )
    return Pairs(scores, latency_ms, pairs.labels[:rows], labelled)


@dataclass(frozen=True)
class Case:
    """A judge, how its rollouts are drawn at an effect (1 is the very bound), and effects to be found."""

    name: str
    judge: Judge
    draw: Callable[[np.random.Generator, float], Sides]
    effects: tuple[float, ...]
    said: str


def side(rows: int, **arrays: Floats) -> Traffic:
    """Make one side's traffic; the log tells the time of each row."""
    log = {"logged_at": np.arange(rows) * (1.0 if rows == ROWS else 1 / BESIDE), "score": arrays.get("scores", NONE)}
    log["score"] = log["score"] if len(log["score"]) else np.zeros(rows)
    log |= {name: values for name, values in arrays.items() if name in {"failed", "metric"}}
    latency_ms, scores, labels, labelled = (
        arrays.get(name, NONE) for name in ("latency_ms", "scores", "labels", "labelled_scores")
    )
    return Traffic(rows, 0, latency_ms, scores, labels, labelled, pa.table(log))


def errors(random: np.random.Generator, effect: float) -> Sides:
    """Let a share of the requests fail: the bound is one in a hundred."""
    return Sides(side(ROWS, failed=(random.random(ROWS) < 0.01 * effect).astype(float)), side(BESIDE * ROWS))


def slow(random: np.random.Generator, effect: float) -> Sides:
    """Draw latencies of which one in a hundred, at the bound, is above 50 ms."""
    late = random.random(ROWS) < 0.01 * effect
    return Sides(side(ROWS, latency_ms=np.where(late, 80.0, random.exponential(5, ROWS))), side(BESIDE * ROWS))


def shifted(random: np.random.Generator, effect: float) -> Sides:
    """Draw skewed scores; the candidate's lie 0.2 deviations higher at the bound."""
    scores = [random.beta(1, 8, rows) for rows in (ROWS, BESIDE * ROWS)]
    return Sides(side(ROWS, scores=scores[0] + 0.2 * effect * SPREAD), side(BESIDE * ROWS, scores=scores[1]))


def ranked(random: np.random.Generator, effect: float) -> Sides:
    """Draw labels, one in five positive; the candidate's area under the curve is 0.05 less at the bound."""
    return Sides(_ranking(random, ROWS, 0.80 - 0.05 * effect), _ranking(random, BESIDE * ROWS, 0.80))


def _ranking(random: np.random.Generator, rows: int, area: float) -> Traffic:
    """Draw normal scores whose classes lie so far apart that the area is as wanted."""
    labels = (random.random(rows) < 0.2).astype(float)
    apart = NormalDist().inv_cdf(area) * np.sqrt(2)
    return side(rows, labels=labels, labelled_scores=random.normal(labels * apart))


def lossy(random: np.random.Generator, effect: float) -> Sides:
    """Draw calibrated probabilities; the candidate's are off so that its Brier score is 0.02 more at the bound."""
    return Sides(_probable(random, ROWS, np.sqrt(0.02 * effect)), _probable(random, BESIDE * ROWS, 0.0))


def _probable(random: np.random.Generator, rows: int, off: float) -> Traffic:
    true = random.uniform(0.2, 0.8, rows)
    labels = (random.random(rows) < true).astype(float)
    return side(rows, labels=labels, labelled_scores=true + off * random.choice([-1.0, 1.0], rows))


def paired(draw: Callable[[np.random.Generator, float, int], Pairs], percent: int) -> Callable[..., Sides]:
    """Let a rollout at some percent have pairs alone: nothing but what was replayed is compared."""
    each = 1 if percent == 100 else 1 + BESIDE

    def drawn(random: np.random.Generator, effect: float) -> Sides:
        return Sides(replace(side(ROWS), pairs=draw(random, effect, each * ROWS)), side(BESIDE * ROWS), each)

    return drawn


def alike(random: np.random.Generator, rows: int) -> Both:
    """Draw normal values of two versions for the same rows."""
    common = random.normal(size=rows)
    return Both(AGREED * common + np.sqrt(1 - AGREED**2) * random.normal(size=rows), common)


def both_shifted(random: np.random.Generator, effect: float, rows: int) -> Pairs:
    """Draw skewed scores of both for the same rows; the candidate's lie 0.2 deviations higher at the bound."""
    candidate, stable = (1 - (1 - _below(side)) ** (1 / 8) for side in alike(random, rows))
    return Pairs(scores=Both(candidate + 0.2 * effect * SPREAD, stable))


def _below(normal: Floats) -> Floats:
    """Return the share of a normal distribution below each value."""
    grid = np.linspace(-6, 6, 4_001)
    return np.interp(normal, grid, [NormalDist().cdf(value) for value in grid])


def both_ranked(random: np.random.Generator, effect: float, rows: int) -> Pairs:
    """Draw labels, one in five positive, and scores of both; the candidate's area is 0.05 less at the bound."""
    labels, noise = (random.random(rows) < 0.2).astype(float), alike(random, rows)
    apart = [NormalDist().inv_cdf(area) * np.sqrt(2) for area in (0.80 - 0.05 * effect, 0.80)]
    return Pairs(labels=labels, labelled_scores=Both(*(labels * a + own for a, own in zip(apart, noise, strict=True))))


def both_lossy(random: np.random.Generator, effect: float, rows: int) -> Pairs:
    """Draw calibrated probabilities; the candidate's are off so that its Brier score is 0.02 more at the bound."""
    true = random.uniform(0.2, 0.8, rows)
    off = np.sqrt(0.02 * effect) * random.choice([-1.0, 1.0], rows)
    return Pairs(labels=(random.random(rows) < true).astype(float), labelled_scores=Both(true + off, true))


def both_timed(random: np.random.Generator, effect: float, rows: int) -> Pairs:
    """Draw times of both for the same requests; one in a hundred, at the bound, takes the candidate 10 ms more."""
    common, own = random.exponential(5, rows), random.normal(0, 0.2, (2, rows))
    late = 10.0 * (random.random(rows) < 0.01 * effect)
    return Pairs(latency_ms=Both(common + own[0] + late, common + own[1]))


def metric(random: np.random.Generator, effect: float) -> Sides:
    """Draw a number from 0 to 1 for each row, whose mean is 0.1 at the bound."""
    mean = 0.1 * effect
    return Sides(side(ROWS, metric=random.beta(mean * 5, (1 - mean) * 5, ROWS)), side(BESIDE * ROWS))


def of_log(log: pa.Table) -> Floats:
    """Return the drawn number of each row."""
    return np.asarray(log["metric"])


CASES = (
    Case("ErrorRate", ErrorRate(0.01), errors, (2, 3, 5, 10), "share of errors, bound 1 %"),
    Case("P99", P99(50), slow, (2, 3, 5, 10), "share of slow requests, bound 1 %"),
    Case("ScoreShift", ScoreShift(0.2), shifted, (2, 3, 5), "shift of Beta(1, 8), bound 0.2 deviations"),
    Case("ScoreShift, paired at 20 %", ScoreShift(0.2), paired(both_shifted, 20), (2, 3, 5), "the same"),
    Case("ScoreShift, paired at 100 %", ScoreShift(0.2), paired(both_shifted, 100), (2, 3, 5), "the same"),
    Case("RealisedQuality(roc_auc)", RealisedQuality(0.05), ranked, (3, 4, 5), "drop of the area, bound 0.05"),
    Case("RealisedQuality(roc_auc), paired", RealisedQuality(0.05), paired(both_ranked, 20), (3, 4, 5), "the same"),
    Case("RealisedQuality(brier)", RealisedQuality(0.02, metric="brier"), lossy, (3, 4, 6), "rise, bound 0.02"),
    Case(
        "RealisedQuality(brier), paired",
        RealisedQuality(0.02, metric="brier"),
        paired(both_lossy, 20),
        (3, 4, 6),
        "the same",
    ),
    Case("Slower, paired", Slower(5), paired(both_timed, 20), (2, 3, 5, 10), "share of slower requests, bound 1 %"),
    Case("LogMetric", LogMetric(0.1, metric=of_log), metric, (1.2, 1.5, 2, 3), "mean of 0..1, bound 0.1"),
)
