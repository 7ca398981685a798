"""What a score means: how often rows of such a score turned out positive, among rows that the model never learnt from.

The score's logit is put through a line, which is fitted to labels (Platt, 1999; Cox, 1958). Two parameters need no
more than some hundred rows; their covariance says how sure they are. The newest rows count, at first those that were
held out when the version was trained, later those that it answered and whose labels have come; and before them all
rows that say the same: history is taken in as far back as its own line agrees with that of what is newer. So a season
is left behind, and where nothing changes every label that is there is learnt from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import Floats

if TYPE_CHECKING:
    from pathlib import Path

FILE = "calibration.json"
"""File of a package, beside its profile; packages of before have none."""
NEWEST_ROWS = 2_000
"""Rows that always count. Of 500 to 3,000 the one with the smallest error in ``benchmarks/estimated_quality``."""
MOST_ROWS = 256_000
"""Rows after which history is not looked at: by then a line is known to a thousandth."""
FEWEST_ROWS = 100
"""Rows without which nothing is said."""
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


class HeldOut(msgspec.Struct, frozen=True):
    """Scores of a package's training set of which the version learnt nothing, and their labels, in order of time.

    Of rows before the newest there are counts (logit, rows, positives).
    """

    scores: list[float]
    labels: list[float]
    older: list[tuple[float, int, int]] = []

    @classmethod
    def newest(cls, scores: Floats, labels: Floats) -> HeldOut:
        """Keep the newest of rows in order of time, and counts of the others."""
        before = Counted.of(scores[:-NEWEST_ROWS], labels[:-NEWEST_ROWS])
        counts = [(round(float(at), 4), int(rows), int(hits)) for at, rows, hits in zip(*before.parts, strict=True)]
        return cls(scores[-NEWEST_ROWS:].round(6).tolist(), labels[-NEWEST_ROWS:].tolist(), counts)

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
        """Fit the rows of events up to an instant; None where they are few, or of one kind.

        A window is estimated by what was known at its end, however late it is measured.
        """
        scores, labels = self._known(event_us)
        newest = labels[-NEWEST_ROWS:]
        if len(newest) < FEWEST_ROWS or not 0 < int((newest > 0).sum()) < len(newest):
            return None
        counted = Counted.of(scores[-NEWEST_ROWS:], newest)
        line = fitted(counted)
        for block in self._before(scores[:-NEWEST_ROWS], labels[:-NEWEST_ROWS]):
            if not _agree(line, fitted(block)):
                return line
            counted = counted + block
            line = fitted(counted)
        return line

    def digests(self, event_us: Sequence[float]) -> Iterator[str]:
        """Name by what each of some instants, the earliest first, would be fitted."""
        digest, done = hashlib.sha256(msgspec.json.encode(self.held_out)), 0
        events, scores, labels = self._answered
        parts = scores, labels > 0  # a fit asks for no more
        for instant in event_us:
            known = int(np.searchsorted(events, instant, side="right"))
            for values in parts:
                digest.update(values[done:known].data)
            digest.update(known.to_bytes(8))
            done = known
            yield digest.hexdigest()

    def _known(self, event_us: float) -> tuple[Floats, Floats]:
        """Return scores and labels up to an instant, the newest last."""
        events, scores, labels = self._answered
        known = int(np.searchsorted(events, event_us, side="right"))
        sides = (self.held_out.scores, scores[:known]), (self.held_out.labels, labels[:known])
        before, after = (np.concatenate(side)[-MOST_ROWS:] for side in sides)
        return before, after

    @cached_property
    def _answered(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return the answered rows that have a label, in order of their events."""
        chosen = np.isfinite(self.labels)
        events, scores, labels = self.event_us[chosen], self.scores[chosen], self.labels[chosen]
        if (events[1:] >= events[:-1]).all():  # mostly they are answered in this order
            return events, scores, labels
        order = np.argsort(events, kind="stable")
        return events[order], scores[order], labels[order]

    def _before(self, scores: Floats, labels: Floats) -> Iterator[Counted]:
        """Yield blocks of history, the newest first, each as long as all that is newer."""
        end, size = len(labels), NEWEST_ROWS
        while end > 0:
            start = end - size if end > 1.5 * size else 0
            yield Counted.of(scores[start:end], labels[start:end])
            size += end - start
            end = start
        if self.held_out.older:
            yield Counted(*(np.array(part, dtype=np.float64) for part in zip(*self.held_out.older, strict=True)))


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


def _agree(one: Calibration, other: Calibration) -> bool:
    """Say whether two lines, of other rows, may be the same: Wald's test."""
    apart = np.array([one.intercept - other.intercept, one.slope - other.slope])
    first, both, second = (mine + its for mine, its in zip(one.covariance, other.covariance, strict=True))
    return bool(apart @ np.linalg.solve([[first, both], [both, second]], apart) <= AGREES)


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
