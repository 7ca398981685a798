"""Distances of two samples as Evidently measures them: Wasserstein, Jensen-Shannon."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

SMALLEST_STD = 1e-3
"""A column that hardly varies is normed by this instead of its deviation (Evidently's floor), or by as much of its
largest value, where that is below 1: what is small need not hardly vary."""
SMALLEST_VALUE = 1e-9
LARGEST = 1e100
"""A value that is larger, of either sign, counts as missing: it stands for no value, and its square is no float64."""
ENOUGH = 5_000
"""Rows a side after which chance moves the distance by less than any bound worth setting (0.04 for a normal)."""


def measurable(values: Floats) -> NDArray[np.bool_]:
    """Say of each value whether it is there and can be measured: neither NaN nor infinite nor beyond ``LARGEST``."""
    return np.asarray(np.abs(values) <= LARGEST)


def finite(values: ArrayLike) -> Floats:
    """Return the measurable values as float64, in their order; null, NaN and infinity are left out."""
    array = np.asarray(values, dtype=np.float64)
    return array[measurable(array)]


def unit(std: float, largest: float) -> float:
    """Return by what distances are normed: the deviation of values, or a floor that knows the largest of them."""
    return max(std, SMALLEST_STD * (min(1.0, max(largest, SMALLEST_VALUE)) if largest else 1.0))


def between(ordered: Floats, edges: Floats, at: Places, below: Places) -> Floats:
    """Sum how far sorted values lie beyond the edge to their left; those before the first edge, how far before it.

    ``at`` and ``below`` are the numbers of values ≤ and < each edge; there is one sum more than edges.
    """
    running = np.concatenate([[0.0], np.cumsum(ordered - edges[0])])
    starts, ends = np.concatenate([[0], at]), np.concatenate([below, [len(ordered)]])
    return np.asarray(
        running[ends] - running[starts] - (ends - starts) * (np.concatenate([edges[:1], edges]) - edges[0])
    )


def wasserstein(a: ArrayLike, b: ArrayLike) -> float:
    """Measure the earth mover's distance of ``a`` from ``b`` in standard deviations of ``b``; 0 if a side is empty."""
    left, right = finite(a), finite(b)
    if not len(left) or not len(right):
        return 0.0
    pooled = np.concatenate([left, right])
    order = np.argsort(pooled)
    pooled, mine = pooled[order], order < len(left)
    first = np.cumsum(mine)
    second = np.arange(1, len(pooled) + 1) - first
    gap = np.abs(first / first[-1] - second / second[-1])
    area = float(gap[:-1] @ np.diff(pooled))
    return area / unit(float(np.std(right)), float(np.abs(right).max()))


def js_distance(p_counts: ArrayLike, q_counts: ArrayLike) -> float:
    """Measure the Jensen-Shannon distance of two counts over the same categories: 0..√ln 2; 0 if a side is empty.

    Source: Lin, "Divergence measures based on the Shannon entropy", 1991; natural logarithm, as in SciPy.
    """
    p, q = np.asarray(p_counts, dtype=np.float64), np.asarray(q_counts, dtype=np.float64)
    if not p.sum() or not q.sum():
        return 0.0
    return float(js_distances(p / p.sum(), q / q.sum()))


def js_distances(p: Floats, q: Floats) -> Floats:
    """Measure the distance of shares along the last axis; the axes before it broadcast."""
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)).sum(axis=-1) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log(p / q), 0.0)
