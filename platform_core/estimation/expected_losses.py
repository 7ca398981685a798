"""Regression of the expected loss on the predicted value: a piecewise linear fit to labelled rows.

Its own error is that of least squares whatever the spread at each reading, with what single far rows pull at the line
allowed for (MacKinnon and White, 1985, HC3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log1p, sqrt
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.estimation.estimation import Meaning
from loopline.platform_core.metrics import Figure
from loopline.platform_core.metrics.errors import MeanOfRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.metrics import Metric

KEPT = 2_048
"""Groups of like readings that are summed up, so that any number of rows takes as little memory."""
IN_PACKAGE = 256
"""The same in the file of a package."""
BENDS, ROWS_A_BEND = 10, 40
"""Straight pieces of the line at most, and rows that each has at least; it stays as it is beyond the last row."""
MOST_PULL = 0.9
"""How much of the line at its reading a single row counts as deciding, at most."""
COMPARED, ROWS_COMPARED = 4, 30
"""Groups of readings in which older rows are held against newer ones, and rows of each without which they are not."""
AGREES = (0.0, 3.84, 5.99, 7.81, 9.49)
"""How far (squared, in standard errors) so many groups lie apart by chance in 95 of 100 cases: chi-squared."""
DEVIATIONS = 2.0
"""Between which 95 of 100 cases lie."""


@dataclass(frozen=True, eq=False)
class Tallied:
    """Rows by reading, rising: where they lie, how many there are, and sums of their losses and of their squares.

    ``lost`` and ``squares`` are (groups, losses).
    """

    at: Floats
    rows: Floats
    lost: Floats
    squares: Floats

    @classmethod
    def of(cls, readings: Floats, losses: Floats) -> Tallied:
        """Sum up rows, each with some losses (rows, losses)."""
        return cls(readings, np.ones(len(readings)), losses, losses**2).grouped(KEPT)

    @classmethod
    def from_json(cls, kept: Sequence[Sequence[float]], losses: int) -> Tallied | None:
        """Read what ``to_json`` wrote; None where it is of another number of losses."""
        table = np.array(kept, dtype=np.float64)
        if table.shape[1] != 2 + 2 * losses:
            return None
        return cls(table[:, 0], table[:, 1], table[:, 2 : 2 + losses], table[:, 2 + losses :])

    def to_json(self) -> list[tuple[float, ...]]:
        """Write each group in a row, of fewer groups."""
        fewer = self.grouped(IN_PACKAGE)
        table = np.column_stack([fewer.at, fewer.rows, fewer.lost, fewer.squares])
        return [tuple(float(f"{value:.7g}") for value in row) for row in table.tolist()]

    def __add__(self, other: Tallied) -> Tallied:
        """Sum up the rows of both."""
        parts = (self.at, other.at), (self.rows, other.rows), (self.lost, other.lost), (self.squares, other.squares)
        return Tallied(*(np.concatenate(pair) for pair in parts)).grouped(KEPT)

    def grouped(self, groups: int) -> Tallied:
        """Put rows of like readings together, at most so many groups: large ones in the middle, small ones at the ends.

        Rows of one reading are in one (the scale of a t-digest: Dunning, 2021).
        """
        order = np.argsort(self.at, kind="stable")
        at, rows = self.at[order], self.rows[order]
        first = np.searchsorted(at, at, side="left")
        before = np.append(0.0, np.cumsum(rows))[first]
        share = np.arcsin(np.sqrt((before / max(float(rows.sum()), 1.0)).clip(0.0, 1.0))) / (np.pi / 2)
        place = np.minimum((share * groups).astype(np.int64), groups - 1)
        return self._summed(order, np.unique(place, return_inverse=True)[1])

    def by(self, edges: Floats) -> Tallied:
        """Put rows together between edges, one group more than there are; a group may have no row."""
        order = np.arange(len(self.at))
        return self._summed(order, np.searchsorted(edges, self.at, side="right"), len(edges) + 1)

    def _summed(self, order: NDArray[np.intp], place: NDArray[np.int64], groups: int = 0) -> Tallied:
        def summed(values: Floats) -> Floats:
            return np.bincount(place, values[order], groups).astype(np.float64)

        rows = summed(self.rows)
        lost, squares = (
            np.stack([summed(side[:, one]) for one in range(side.shape[1])], axis=1)
            for side in (self.lost, self.squares)
        )
        return Tallied(summed(self.rows * self.at) / np.maximum(rows, 1), rows, lost, squares)

    @property
    def means(self) -> Floats:
        """Return the mean losses (groups, losses)."""
        return np.asarray(self.lost / np.maximum(self.rows, 1)[:, None])

    @property
    def variances(self) -> Floats:
        """Return the losses' variances in each group."""
        found = self.squares / np.maximum(self.rows, 1)[:, None] - self.means**2
        return np.asarray(found.clip(0.0))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A loss at each bend of the line, the variance of single rows' losses there, and the covariance of the line."""

    at_bends: Floats
    variances: Floats
    covariance: Floats


@dataclass(frozen=True, eq=False)
class Expected(Meaning):
    """The mean losses of ``names`` by reading; ``bends`` are readings, rising."""

    names: Sequence[str]
    counts: Tallied
    bends: Floats
    lines: Sequence[Fitted]

    @classmethod
    def of(cls, names: Sequence[str], counts: Tallied) -> Expected:
        """Fit a line for each loss, of as many pieces as the rows allow."""
        pieces = min(BENDS, max(1, int(counts.rows.sum()) // ROWS_A_BEND))
        middles = np.cumsum(counts.rows) - counts.rows / 2
        bends = np.unique(np.interp(np.linspace(middles[0], middles[-1], pieces + 1), middles, counts.at))
        x = _shares(bends, counts.at)
        inverse = np.asarray(np.linalg.pinv((x * counts.rows[:, None]).T @ x, hermitian=True), dtype=np.float64)
        return cls(names, counts, bends, [_fitted(x, inverse, counts, place) for place in range(len(names))])

    @property
    def rows(self) -> int:
        """Count the rows by which it is known."""
        return int(self.counts.rows.sum())

    def agrees(self, older: Expected) -> bool:
        """Hold the first loss of older rows against these, in groups of readings that both have."""
        edges = self.counts.grouped(COMPARED).at
        edges = (edges[1:] + edges[:-1]) / 2
        mine, its = self.counts.by(edges), older.counts.by(edges)
        both = (mine.rows >= ROWS_COMPARED) & (its.rows >= ROWS_COMPARED)
        spread = sum(side.variances[both, 0] / side.rows[both] for side in (mine, its))
        apart = (mine.means[both, 0] - its.means[both, 0]) ** 2
        far = np.divide(apart, spread, out=np.where(apart > 0, np.inf, 0.0), where=spread > 0)
        return bool(far.sum() <= AGREES[int(both.sum())])

    def estimated(self, kind: Kind, raw: Floats, metrics: Iterable[Metric]) -> Iterator[Figure]:
        """Add up what rows of such readings lose.

        Two variances add up: of the losses of given rows, and of the means for given held-out rows. What is lost has no
        value below 0 and a long tail, so that its logarithm is taken to be normal.
        """
        named = {metric.name: metric for metric in metrics}
        if not len(raw):
            return
        weights = _shares(self.bends, kind.reading(raw)).mean(axis=0)
        for name, line in zip(self.names, self.lines, strict=True):
            if name in named:
                mean = max(0.0, float(weights @ line.at_bends))
                variance = float(weights @ line.variances / len(raw) + weights @ line.covariance @ weights)
                if not isfinite(mean) or not isfinite(variance):
                    continue  # a square beyond all measure
                variance = max(0.0, variance)
                yield Figure(name, *map(mean_of_rows(named[name]).of_mean, (mean, *_around(mean, variance))))


def _fitted(x: Floats, inverse: Floats, counts: Tallied, place: int) -> Fitted:
    """Fit a loss by least squares to groups of rows, each of whose losses is known by its sum and that of squares."""
    lost, squares = counts.lost[:, place], counts.squares[:, place]
    line = inverse @ (x.T @ lost)
    said = x @ line
    pull = np.einsum("ij,jk,ik->i", x, inverse, x).clip(0.0, MOST_PULL)
    missed = (squares - 2 * said * lost + counts.rows * said**2).clip(0.0) / (1 - pull) ** 2
    covariance = inverse @ ((x * missed[:, None]).T @ x) @ inverse
    return Fitted(line, (inverse @ (x.T @ missed)).clip(0.0), covariance)


def _shares(bends: Floats, readings: Floats) -> Floats:
    """Return (rows, bends) what share each bend has of the line at each reading."""
    if len(bends) == 1:
        return np.ones((len(readings), 1))
    upper = np.searchsorted(bends, readings, side="right").clip(1, len(bends) - 1)
    share = ((readings - bends[upper - 1]) / (bends[upper] - bends[upper - 1])).clip(0.0, 1.0)
    found, rows = np.zeros((len(readings), len(bends))), np.arange(len(readings))
    found[rows, upper], found[rows, upper - 1] = share, 1 - share
    return found


def mean_of_rows(metric: Metric) -> MeanOfRows:
    """Return a metric whose loss is a mean of rows.

    Raises:
        Unsupported: it is another one.
    """
    if not isinstance(metric, MeanOfRows):
        raise Unsupported(f"{metric.name} is no mean of what rows miss by", "estimate it in another way")
    return metric


def _around(mean: float, variance: float) -> tuple[float, float]:
    """Return between what 95 of 100 lognormal values of a mean and a variance lie."""
    if mean <= 0:
        return 0.0, DEVIATIONS * sqrt(variance)
    spread = log1p(variance / mean / mean)
    return tuple(mean * exp(side * DEVIATIONS * sqrt(spread) - spread / 2) for side in (-1, 1))  # type: ignore[return-value]
