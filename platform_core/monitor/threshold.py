"""Where drift begins: beyond what chance alone shows in a window of that size."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from platform_core.monitor.distance import SMALLEST_STD, Floats, js_distances
from platform_core.monitor.profile import CategoryColumn, Column, NumericColumn, Profile

FLOOR = 0.1
"""A smaller distance is no drift whatever the size of the window (Evidently's default)."""
ALPHA = 0.05
"""Chance that any column of a quiet window exceeds its threshold, shared among the columns."""
DRAWS = 400
TAIL = 0.1
"""Share of the draws that tells how the null thins out."""

_known: dict[tuple[str, str, int, int], float] = {}


def threshold(profile: Profile, name: str, rows: int, seed: int = 0) -> float:
    """Return the larger of ``FLOOR`` and the null quantile of a column for a window with ``rows`` values of it.

    The null is drawn from the profile alone, the same for the same ``seed``, and remembered by content and size.
    """
    column = profile.columns[name]
    size = _bucket(effective(rows, column.rows))
    key = (profile.digest, name, size, seed)
    if key not in _known:
        null = draw_null(column, size, np.random.default_rng(seed))
        _known[key] = max(FLOOR, far_quantile(null, ALPHA / len(profile.columns)))
    return _known[key]


def share_threshold(share: float, rows: int, columns: int) -> float:
    """Return by how much a share may differ from the reference's, the binomial's tails as a normal's."""
    sigma = math.sqrt(share * (1 - share) / max(rows, 1))
    return max(FLOOR, NormalDist().inv_cdf(1 - ALPHA / columns / 2) * sigma)


def effective(rows: int, reference: int) -> int:
    """Return the size at which one sample varies as much as both together: the reference is a sample as well."""
    return max(int(rows * reference / max(rows + reference, 1)), 1)


def far_quantile(draws: Floats, chance: float) -> float:
    """Return what a draw exceeds with ``chance`` (below ``TAIL``), by an exponential tail over the highest draws.

    The plain quantile would be about the largest draw, which is a lottery. Source: peaks over threshold (Pickands,
    1975), with the shape of a light tail.
    """
    start = float(np.quantile(draws, 1 - TAIL))
    beyond = draws[draws > start] - start
    return start + (float(beyond.mean()) * math.log(TAIL / chance) if len(beyond) else 0.0)


def draw_null(column: Column, rows: int, random: np.random.Generator) -> Floats:
    """Draw windows of ``rows`` values from a column's own profile and measure how far each comes out."""
    if isinstance(column, CategoryColumn):
        return _category_null(column, rows, random)
    return _numeric_null(column, rows, random)


def _numeric_null(column: NumericColumn, rows: int, random: np.random.Generator) -> Floats:
    if not column.edges:
        return np.zeros(1)
    at = np.array(column.at)
    drawn = np.cumsum(random.multinomial(rows, _shares(np.diff(at, prepend=0.0)), size=DRAWS), axis=1) / rows
    return np.asarray(np.abs(drawn - at)[:, :-1] @ np.diff(column.edges)) / max(column.std, SMALLEST_STD)


def _category_null(column: CategoryColumn, rows: int, random: np.random.Generator) -> Floats:
    if not column.rows:
        return np.zeros(1)
    shares = _shares(np.array([*column.counts.values(), column.other], dtype=np.float64))
    return js_distances(random.multinomial(rows, shares, size=DRAWS) / rows, shares)


def _shares(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum())


def _bucket(rows: int) -> int:
    """Round down to two digits, so that windows of about the same size share a null (a little too high for them)."""
    unit = int(10 ** max(len(str(rows)) - 2, 0))
    return rows // unit * unit
