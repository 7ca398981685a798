"""Calibration of binary scores (Platt scaling), on rows that the model was not trained on.

The score's logit is put through a line, which is fitted to labels (Platt, 1999; Cox, 1958). Two parameters need no
more than some hundred rows; their covariance says how sure they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.estimation.estimation import Meaning
from loopline.platform_core.estimation.expected import estimated
from loopline.platform_core.foundation.distance import Floats

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.metrics.metric import Figure, Metric

AGREES = 5.99
"""How far (squared, in standard errors) two lines lie apart by chance in 95 of 100 cases: chi-squared of two."""
BINS_A_LOGIT = 64
"""Rows whose logits are alike so far are fitted as one, so that a fit of any number of rows takes as little memory."""
MOST_BINS = 10_000
"""Bins, of logits in whatever unit, up to which they are counted in an array with a place for each."""
LEAST_STEP = 1e-6
LEAST_PROBABILITY = 1e-6
"""A score counts as at least this and at most 1 less this: a logit has no end."""
PRIOR = 1e-3
"""Weight of "scores mean what they say", so that a handful of rows still gives a line."""
IDENTITY = np.array([0.0, 1.0])
"""Intercept and slope of scores that mean what they say."""
_PRIOR_CURVATURE = PRIOR * np.eye(2)
MOST_STEPS = 50


@dataclass(frozen=True)
class Calibration(Meaning):
    """The line from a score's logit to that of the probability, and the variances of its parameters.

    ``rows`` and ``positives`` are those it was fitted to.
    """

    intercept: float
    slope: float
    covariance: tuple[float, float, float]
    rows: int
    positives: int

    def __call__(self, scores: Floats) -> Floats:
        """Return the probability that each row is positive."""
        return _expit(self.intercept + self.slope * logit(scores))

    def others(self, scores: Floats, count: int, seed: int = 0) -> Floats:
        """Return probabilities (count, rows) of calibrations, drawn, that other held-out rows might have given."""
        first, both, second = self.covariance
        drawn = np.random.default_rng(seed).multivariate_normal(
            [self.intercept, self.slope], [[first, both], [both, second]], size=count
        )
        return _expit(drawn[:, :1] + drawn[:, 1:] * logit(scores))

    def agrees(self, older: Calibration) -> bool:
        """Say whether two lines, of other rows, may be the same: Wald's test."""
        apart = np.array([self.intercept - older.intercept, self.slope - older.slope])
        first, both, second = (mine + its for mine, its in zip(self.covariance, older.covariance, strict=True))
        return bool(apart @ np.linalg.solve([[first, both], [both, second]], apart) <= AGREES)

    def estimated(self, kind: Kind, raw: Floats, metrics: Iterable[Metric]) -> Iterator[Figure]:
        """Estimate what chances make of metrics of rows that are positive or not."""
        return estimated(self, kind.rows(np.full(len(raw), np.nan), raw), metrics)


@dataclass(frozen=True, eq=False)
class Counted:
    """Rows by their score's logit: of each how many there are, and how many of them are positive."""

    logits: Floats
    rows: Floats
    positives: Floats

    @classmethod
    def of(cls, scores: Floats, labels: Floats) -> Counted:
        """Count rows."""
        return cls(logit(scores), np.ones(len(scores)), (labels > 0).astype(np.float64)).together

    @property
    def together(self) -> Counted:
        """Put rows of like logits together, at their mean."""
        bins = np.round(self.logits * BINS_A_LOGIT)
        if np.ptp(np.append(bins, 0.0)) < MOST_BINS:  # a logit has an end, and so have its bins: none needs sorting
            place = (bins - bins.min(initial=0)).astype(np.int64)
        else:
            place = np.unique(bins, return_inverse=True)[1]
        rows, sums, positives = (
            np.bincount(place, weights).astype(np.float64)
            for weights in (self.rows, self.rows * self.logits, self.positives)
        )
        there = rows > 0
        return Counted(sums[there] / rows[there], rows[there], positives[there])

    def __add__(self, other: Counted) -> Counted:
        """Count the rows of both."""
        pairs = zip(self.parts, other.parts, strict=True)
        return Counted(*(np.concatenate(pair) for pair in pairs)).together

    @property
    def parts(self) -> tuple[Floats, Floats, Floats]:
        """Return the arrays, of one length."""
        return self.logits, self.rows, self.positives


def fit(labels: Floats, scores: Floats) -> Calibration:
    """Fit the line to labels 0 and 1."""
    return fitted(Counted.of(scores, labels))


def fitted(counted: Counted) -> Calibration:
    """Fit the line to counted rows by Newton's method; a step that overshoots is halved."""
    x = np.column_stack([np.ones(len(counted.logits)), counted.logits])
    line: Floats = np.zeros(2)
    loss = _loss(x, counted, line)
    for _ in range(MOST_STEPS):
        given = _expit(x @ line)
        slope = x.T @ (counted.positives - counted.rows * given) - PRIOR * (line - IDENTITY)
        step = _curvature_inverse(x, counted.rows, given) @ slope
        while (after := _loss(x, counted, line + step)) > loss and np.abs(step).max() > LEAST_STEP:
            step = step / 2
        line, loss = np.asarray(line + step), after
        if np.abs(step).max() < LEAST_STEP:
            break
    inverse = _curvature_inverse(x, counted.rows, _expit(x @ line))
    first, both, second = float(inverse[0, 0]), float(inverse[0, 1]), float(inverse[1, 1])
    rows, positives = int(counted.rows.sum()), int(counted.positives.sum())
    return Calibration(float(line[0]), float(line[1]), (first, both, second), rows, positives)


def logit(scores: Floats) -> Floats:
    """Return the log of the odds."""
    given = np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.asarray(np.log(given / (1 - given)), dtype=np.float64)


def _loss(x: Floats, counted: Counted, line: Floats) -> float:
    """Return what the fit makes small: surprise (nats), and a little for being far from the scores' own word."""
    value = x @ line
    surprise = counted.rows * np.logaddexp(0, value) - counted.positives * value
    return float(surprise.sum() + PRIOR / 2 * ((line - IDENTITY) ** 2).sum())


def _curvature_inverse(x: Floats, rows: Floats, given: Floats) -> Floats:
    curved = (x * (rows * given * (1 - given))[:, None]).T @ x + _PRIOR_CURVATURE
    return np.asarray(np.linalg.inv(curved))


def _expit(values: Floats) -> Floats:
    return np.asarray((1 + np.tanh(values / 2)) / 2, dtype=np.float64)
