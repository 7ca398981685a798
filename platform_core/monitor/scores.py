"""How far a window's tallies lie from the profile, and in which words to tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loopline.platform_core.foundation.distance import SMALLEST_STD, Floats, js_distance
from loopline.platform_core.monitor.columns import CategoryColumn, Column, EmbeddingColumn, NumericColumn, TextColumn
from loopline.platform_core.monitor.tally import CategoryTally, EmbeddingTally, NumericTally, Tally, TextTally


def numeric(column: NumericColumn, window: NumericTally) -> float:
    """Measure the earth mover's distance between a window and a profile, in the profile's deviations.

    Between two edges the gap of both distributions is taken as exactly as its sum allows while it keeps its sign. Where
    it does not, the profile's is a straight line there, and the window's values stand at their mean.
    """
    if not window.rows or not column.edges:
        return 0.0
    edges, at, below = (np.asarray(part) for part in (column.edges, column.at, column.below))
    held, before = np.asarray(window.at) / window.rows, np.asarray(window.below) / window.rows
    width, sums = np.diff(edges), np.asarray(window.sums) / window.rows
    rise, mass = below[1:] - at[:-1], before[1:] - held[:-1]
    start, end = at[:-1] - held[:-1], below[1:] - before[1:]
    offsets = np.asarray(column.offsets) if column.offsets else rise * width / 2
    whole = np.abs((start + rise - mass) * width - offsets + sums[1:-1])
    step = np.clip(sums[1:-1] / np.where(mass > 0, mass, np.inf), 0, width)
    middle = at[:-1] + rise * step / width
    left = _mean_gap(start, middle - held[:-1]) * step
    right = _mean_gap(middle - before[1:], end) * (width - step)
    area = np.where(start * end < 0, left + right, whole).sum() - sums[0] + sums[-1]
    return float(area) / max(column.std, SMALLEST_STD)


def category(column: CategoryColumn, window: CategoryTally) -> float:
    """Measure the Jensen-Shannon distance between counts and a profile; unseen values count as other."""
    named = [window.counts.get(name, 0) for name in column.counts]
    return js_distance([*column.counts.values(), column.other], [*named, window.rest + window.unseen])


def embedding(column: EmbeddingColumn, window: EmbeddingTally) -> float:
    """Measure the kernel distance of mean features, as a shift of all coordinates in deviations."""
    if not window.rows or not column.rows:
        return 0.0
    apart = np.asarray(window.features) / window.rows - np.asarray(column.features)
    return float(np.linalg.norm(apart)) * column.unit


@dataclass(frozen=True)
class Part:
    """One measure of a column: its name within the column (empty: the column itself), and its value."""

    name: str
    score: float


def parts(column: Column, window: Tally) -> list[Part]:
    """Measure a column; of texts and vectors their lengths as well."""
    match column, window:
        case NumericColumn(), NumericTally():
            return [Part("", numeric(column, window))]
        case CategoryColumn(), CategoryTally():
            return [Part("", category(column, window))]
        case TextColumn(), TextTally():
            return [
                Part("", js_distance(column.buckets, window.buckets)),
                Part("words", numeric(column.words, window.words)),
            ]
        case EmbeddingColumn(), EmbeddingTally():
            return [Part("", embedding(column, window)), Part("norms", numeric(column.norms, window.norms))]
    raise TypeError(f"a {type(window).__name__} is no window of a {type(column).__name__}")


def _mean_gap(left: Floats, right: Floats) -> Floats:
    """Average the absolute value of straight lines that run from ``left`` to ``right``."""
    total = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(total == 0, 1, 2 * total)
    return np.asarray(np.where(left * right >= 0, total / 2, crossing))
