"""What a score means: how often rows of such a score turned out positive, among rows that the model never learnt from.

The score's logit is put through a line, which is fitted to labels (Platt, 1999; Cox, 1958). Two parameters need no
more than some hundred rows; their covariance says how sure they are. The newest rows count: at first those that were
held out when the version was trained, later those that it answered and whose labels have come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import Floats

if TYPE_CHECKING:
    from pathlib import Path

FILE = "calibration.json"
"""File of a package, beside its profile; packages of before have none."""
NEWEST = 2_000
"""Rows that are looked at. Of 500 to 3,000 the one with the smallest error in ``benchmarks/estimated_quality``."""
FEWEST = 100
"""Rows without which nothing is said."""
LEAST = 1e-6
"""A score counts as at least this and at most 1 less this: a logit has no end."""
PRIOR = 1e-3
"""Weight of "scores mean what they say", so that a handful of rows still gives a line."""
IDENTITY = np.array([0.0, 1.0])
"""Intercept and slope of scores that mean what they say."""
ROUNDS = 50


class Calibration(msgspec.Struct, frozen=True):
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


class HeldOut(msgspec.Struct, frozen=True):
    """Scores of a package's training set of which the version learnt nothing, and their labels, in order of time."""

    scores: list[float]
    labels: list[float]

    @classmethod
    def newest(cls, scores: Floats, labels: Floats) -> HeldOut:
        """Keep the newest of rows in order of time."""
        return cls(scores[-NEWEST:].round(6).tolist(), labels[-NEWEST:].tolist())

    def save(self, package: Path) -> None:
        """Write them into a package."""
        package.joinpath(FILE).write_bytes(msgspec.json.encode(self))


NONE = HeldOut([], [])


def load(package: Path) -> HeldOut:
    """Read the rows of a package; none where it was made without them."""
    try:
        return msgspec.json.decode(package.joinpath(FILE).read_bytes(), type=HeldOut)
    except FileNotFoundError:
        return NONE


@dataclass(frozen=True, eq=False)
class Evidence:
    """By what a version's scores are read: the rows held out, and answered ones with a label by their event (µs)."""

    held_out: HeldOut
    event_us: NDArray[np.int64]
    scores: Floats
    labels: Floats

    def by(self, event_us: float) -> Calibration | None:
        """Fit the newest rows of events up to an instant; None where they are few, or of one kind.

        A window is estimated by what was known at its end, however late it is measured.
        """
        chosen = np.flatnonzero((self.event_us <= event_us) & np.isfinite(self.labels))
        chosen = chosen[np.argsort(self.event_us[chosen], kind="stable")]
        scores = np.concatenate([self.held_out.scores, self.scores[chosen]])[-NEWEST:]
        labels = np.concatenate([self.held_out.labels, self.labels[chosen]])[-NEWEST:]
        enough = len(labels) >= FEWEST and 0 < int((labels > 0).sum()) < len(labels)
        return fit(labels, scores) if enough else None


def fit(labels: Floats, scores: Floats) -> Calibration:
    """Fit the line to labels 0 and 1 by Newton's method; a step that overshoots is halved."""
    x = np.column_stack([np.ones(len(scores)), logit(scores)])
    y = (labels > 0).astype(np.float64)
    line: Floats = np.zeros(2)
    for _ in range(ROUNDS):
        given = _expit(x @ line)
        step = _curvature_inverse(x, given) @ (x.T @ (y - given) - PRIOR * (line - IDENTITY))
        while _loss(x, y, line + step) > _loss(x, y, line) and np.abs(step).max() > LEAST:
            step = step / 2
        line = np.asarray(line + step)
        if np.abs(step).max() < LEAST:
            break
    inverse = _curvature_inverse(x, _expit(x @ line))
    first, both, second = float(inverse[0, 0]), float(inverse[0, 1]), float(inverse[1, 1])
    return Calibration(float(line[0]), float(line[1]), (first, both, second), len(y), int(y.sum()))


def logit(scores: Floats) -> Floats:
    """Return the log of the odds."""
    given = np.clip(scores, LEAST, 1 - LEAST)
    return np.asarray(np.log(given / (1 - given)), dtype=np.float64)


def _loss(x: Floats, y: Floats, line: Floats) -> float:
    """Return what the fit makes small: surprise (nats), and a little for being far from the scores' own word."""
    value = x @ line
    surprise = np.logaddexp(0, value) - y * value
    return float(surprise.sum() + PRIOR / 2 * ((line - IDENTITY) ** 2).sum())


def _curvature_inverse(x: Floats, given: Floats) -> Floats:
    curved = (x * (given * (1 - given))[:, None]).T @ x + PRIOR * np.eye(2)
    return np.asarray(np.linalg.inv(curved))


def _expit(values: Floats) -> Floats:
    return np.asarray((1 + np.tanh(values / 2)) / 2, dtype=np.float64)
