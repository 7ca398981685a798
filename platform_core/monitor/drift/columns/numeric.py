"""Drift of numeric columns: Wasserstein distance from the training set, in its standard deviations.

The edges were measured against Evidently's own tests on seven shapes; without those in the tails a Pareto column is
off by 0.07.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import Floats, between, finite, measurable
from loopline.platform_core.foundation.distance import unit as unit_of
from loopline.platform_core.monitor.drift.columns.base import (
    DRAWS,
    Column,
    Kind,
    Part,
    Rows,
    Scorer,
    Tally,
    as_shares,
    own,
)
from loopline.platform_core.monitor.drift.values import as_numbers, is_text, numbers

QUANTILES = 1_024
TAIL = 64
"""Edges a side among the outermost order statistics, where a heavy tail keeps its distance."""
WIDE, PIECES = 0.05, 8
"""Edges that are farther apart, in deviations, have so many pieces between them."""
HARDLY = 0.05
"""A mean that moved by less of a deviation did not move; then the spread is told."""


class NumericTally(msgspec.Struct, Tally, frozen=True, tag="numeric"):
    """``rows`` measurable values of ``total``: how many are ≤ and < each edge, and their sums between the edges.

    ``sums`` has one entry more than there are edges: from the nearest edge outside of both ends, else from the left.
    Between two edges only the sum of a window's values is kept, not where each of them lies: see ``distance``.
    """

    at: list[int]
    below: list[int]
    sums: list[float]
    added: float
    rows: int
    total: int


class NumericColumn(msgspec.Struct, Column, frozen=True, tag="numeric"):
    """Distribution of ``rows`` finite values: ``at[i]`` is the share ≤ ``edges[i]``, ``below[i]`` the share <.

    ``offsets[i]`` is how far the values between two edges lie beyond the first, summed, a row.
    """

    kind: ClassVar[Kind] = "numeric"

    edges: list[float]
    at: list[float]
    below: list[float]
    std: float
    rows: int
    missing_share: float
    mean: float
    offsets: list[float]

    @classmethod
    def reads(cls, kind: pa.DataType) -> bool:
        """Read all that is no text; what is no number either is refused where it is measured."""
        return not is_text(kind)

    @classmethod
    def served(cls, values: Sequence[Any]) -> pa.Array:
        """Return float64."""
        return pa.array(as_numbers(values), pa.float64(), from_pandas=True)

    @classmethod
    def profiled(cls, values: pa.ChunkedArray) -> NumericColumn:
        """Profile numbers; what is not measurable counts as missing."""
        found = numbers(values)
        return cls.of(found, float(np.mean(~measurable(found))) if len(found) else 0.0)

    @classmethod
    def of(cls, values: Floats, missing_share: float = 0.0) -> NumericColumn:
        """Profile float64, of which so many are said to be missing."""
        ordered = np.sort(finite(values))
        rows, std = max(len(ordered), 1), float(np.std(ordered)) if len(ordered) else 0.0
        edges = _split(np.unique(ordered[_positions(len(ordered))]), std * WIDE)
        at, below = (np.searchsorted(ordered, edges, side=side) for side in ("right", "left"))
        return cls(
            edges=edges.tolist(),
            at=(at / rows).tolist(),
            below=(below / rows).tolist(),
            std=std,
            rows=len(ordered),
            missing_share=missing_share,
            mean=float(np.mean(ordered)) if len(ordered) else 0.0,
            offsets=(between(ordered, edges, at, below)[1:-1] / rows).tolist() if len(edges) else [],
        )

    def count(self, values: pa.ChunkedArray) -> NumericTally:
        """Count a column's values."""
        return self.count_numbers(numbers(values))

    def count_numbers(self, values: Floats) -> NumericTally:
        """Count float64."""
        ordered, edges = np.sort(finite(values)), np.asarray(self.edges)
        if not len(edges):
            return NumericTally([], [], [], 0.0, 0, len(values))
        at, below = (np.searchsorted(ordered, edges, side=side) for side in ("right", "left"))
        sums = between(ordered, edges, at, below)
        return NumericTally(at.tolist(), below.tolist(), sums.tolist(), float(ordered.sum()), len(ordered), len(values))

    def measure(self, window: Tally) -> list[Part]:
        """Measure the distance."""
        return [Part("", self.distance(own(NumericTally, window)))]

    def distance(self, window: NumericTally) -> float:
        """Measure the earth mover's distance, in the profile's deviations.

        Between two edges the gap of both distributions is taken as exactly as its sum allows while it keeps its sign.
        Where it does not, the profile's is a straight line there, and the window's values stand at their mean.
        """
        if not window.rows or not self.edges:
            return 0.0
        edges, at, below = (np.asarray(part) for part in (self.edges, self.at, self.below))
        held, before = np.asarray(window.at) / window.rows, np.asarray(window.below) / window.rows
        width, sums = np.diff(edges), np.asarray(window.sums) / window.rows
        rise, mass = below[1:] - at[:-1], before[1:] - held[:-1]
        start, end = at[:-1] - held[:-1], below[1:] - before[1:]
        whole = np.abs((start + rise - mass) * width - np.asarray(self.offsets) + sums[1:-1])
        step = np.clip(sums[1:-1] / np.where(mass > 0, mass, np.inf), 0, width)
        middle = at[:-1] + rise * step / width
        left = _mean_gap(start, middle - held[:-1]) * step
        right = _mean_gap(middle - before[1:], end) * (width - step)
        area = np.where(start * end < 0, left + right, whole).sum() - sums[0] + sums[-1]
        return float(area) / self.unit

    def describe(self, window: Tally) -> str:
        """Tell of the mean, or of the spread where the mean hardly moved."""
        window = own(NumericTally, window)
        before, after = self.mean, window.added / window.rows
        if abs(after - before) > HARDLY * self.std:
            return f"mean {before:.4g} → {after:.4g}"
        held = np.asarray(window.at) / window.rows
        sides = (self._tenths(np.asarray(self.at)), self._tenths(held))
        return "80 % within " + " → ".join(f"{low:.4g}..{high:.4g}" for low, high in sides)

    @property
    def unit(self) -> float:
        """Return by what distances are normed."""
        return unit_of(self.std, max(abs(self.edges[0]), abs(self.edges[-1])))

    def null(self, part: str, rows: int, sample: pa.ChunkedArray, random: np.random.Generator) -> Floats:  # noqa: ARG002
        """Draw windows from the profile itself."""
        return self.chance(rows, random)

    def chance(self, rows: int, random: np.random.Generator) -> Floats:
        """Measure windows of so many values, drawn from the profile."""
        if not self.edges:
            return np.zeros(1)
        at = np.array(self.at)
        drawn = np.cumsum(random.multinomial(rows, as_shares(np.diff(at, prepend=0.0)), size=DRAWS), axis=1) / rows
        return np.asarray(np.abs(drawn - at)[:, :-1] @ np.diff(self.edges)) / self.unit

    def scorer(self, values: pa.ChunkedArray) -> Scorer:
        """Measure on the edges alone: no value of the training set lies beyond the outermost."""
        return self.number_scorer(numbers(values))

    def number_scorer(self, values: Floats) -> Scorer:
        """Measure sets of float64."""
        edges, at = np.asarray(self.edges), np.asarray(self.at)
        widths = np.diff(edges) / self.unit if len(edges) else edges

        def scored(rows: Rows) -> tuple[int, list[float]]:
            ordered = np.sort(finite(values[rows]))
            if not len(ordered) or not len(edges):
                return 0, [0.0]
            held = np.searchsorted(ordered, edges, side="right") / len(ordered)
            return len(ordered), [float(np.abs(held - at)[:-1] @ widths)]

        return scored

    def inputs(self) -> list[str]:
        """Show the values."""
        return [""] if self.edges else []

    def encoded(self, values: pa.ChunkedArray, wanted: str) -> Floats:
        """Return ranks on a normal's scale, 0 where missing."""
        found = numbers(values)
        there = measurable(found)
        if wanted:
            return np.asarray(~there, dtype=np.float64)
        return np.where(there, np.interp(found, self.edges, self._ranks()), 0.0)

    def _ranks(self) -> list[float]:
        normal = NormalDist()
        middle = (np.asarray(self.at) + np.asarray(self.below)) / 2
        return [normal.inv_cdf(share) for share in np.clip(middle, 0.005, 0.995)]

    def _tenths(self, shares: Floats) -> list[float]:
        places = np.minimum(np.searchsorted(shares, [0.1, 0.9]), len(self.edges) - 1)
        return [self.edges[place] for place in places]


def _split(edges: Floats, wide: float) -> Floats:
    """Add edges where two lie far apart: a window's values there would be known by their sum only."""
    places = np.flatnonzero(np.diff(edges) > wide)
    pieces = np.arange(1, PIECES)[:, None] / PIECES
    return np.unique(np.concatenate([edges, ((1 - pieces) * edges[places] + pieces * edges[places + 1]).ravel()]))


def _positions(rows: int) -> NDArray[np.int64]:
    """Choose order statistics: evenly by rank, and ever closer towards both ends."""
    if not rows:
        return np.empty(0, dtype=np.int64)
    even = np.linspace(0, rows - 1, QUANTILES + 1)
    tail = np.geomspace(1, max(rows / QUANTILES, 2), TAIL) - 1
    return np.unique(np.clip(np.concatenate([even, tail, rows - 1 - tail]), 0, rows - 1).astype(np.int64))


def _mean_gap(left: Floats, right: Floats) -> Floats:
    """Average the absolute value of straight lines that run from ``left`` to ``right``."""
    total = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(total == 0, 1, 2 * total)
    return np.asarray(np.where(left * right >= 0, total / 2, crossing))
