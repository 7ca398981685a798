"""Where drift begins: beyond what chance alone shows in a window of that size."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import SMALLEST_STD, Floats, js_distances
from loopline.platform_core.monitor import embeddings, word_sketch
from loopline.platform_core.monitor.columns import CategoryColumn, EmbeddingColumn, NumericColumn, TextColumn
from loopline.platform_core.monitor.profile import Profile

FLOOR = 0.1
"""A smaller distance is no drift whatever the size of the window (Evidently's default)."""
ALPHA = 0.05
"""Chance that any measure of a quiet window exceeds its threshold, shared among them."""
DRAWS = 400
TAIL = 0.1
"""Share of the draws that tells how the null thins out."""

_known: dict[tuple[str, str, str, int, int], float] = {}


def threshold(profile: Profile, name: str, rows: int, part: str = "", seed: int = 0) -> float:
    """Return the larger of ``FLOOR`` and the null quantile of a measure for a window with ``rows`` values.

    The null is drawn from the profile alone, of texts and vectors from its sample; it is the same for the same
    ``seed``, and remembered by content and size.
    """
    size = _bucket(effective(rows, profile.columns[name].rows))
    key = (profile.digest, name, part, size, seed)
    if key not in _known:
        null = draw_null(profile, name, size, np.random.default_rng(seed), part)
        _known[key] = max(FLOOR, far_quantile(null, chance(profile)))
    return _known[key]


def chance(profile: Profile) -> float:
    """Return each measure's part of ``ALPHA``: a column's, a second one of texts and vectors, and the joint one."""
    double = sum(isinstance(column, TextColumn | EmbeddingColumn) for column in profile.columns.values())
    return ALPHA / (len(profile.columns) + double + 1)


def share_threshold(share: float, rows: int, chance: float) -> float:
    """Return by how much a share may differ from the reference's, the binomial's tails as a normal's."""
    sigma = math.sqrt(share * (1 - share) / max(rows, 1))
    return max(FLOOR, NormalDist().inv_cdf(1 - chance / 2) * sigma)


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


def draw_null(profile: Profile, name: str, rows: int, random: np.random.Generator, part: str = "") -> Floats:
    """Draw windows of ``rows`` values from a column's own profile and measure how far each comes out."""
    column = profile.columns[name]
    if isinstance(column, CategoryColumn):
        return _category_null(column, rows, random)
    if isinstance(column, NumericColumn):
        return _numeric_null(column, rows, random)
    if part:
        return _numeric_null(column.words if isinstance(column, TextColumn) else column.norms, rows, random)
    return _sampled_null(column, profile.sample.column(name), rows, random)


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


def _sampled_null(
    column: TextColumn | EmbeddingColumn, sample: pa.ChunkedArray, rows: int, random: np.random.Generator
) -> Floats:
    """Draw whole texts or vectors: the words of one text, like the features of one vector, come together."""
    values = sample.drop_null().to_pylist()
    if isinstance(column, TextColumn):
        vectors = word_sketch.vectors(values)
    else:
        vectors = embeddings.column_features(column, embeddings.matrix(values, len(column.mean)))
    if not len(vectors):
        return np.zeros(1)
    times = random.multinomial(rows, np.full(len(vectors), 1 / len(vectors)), size=DRAWS)
    drawn, all_of_them = times.astype(np.float32) @ vectors.astype(np.float32), vectors.sum(axis=0)
    if isinstance(column, TextColumn):
        return js_distances(drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1), _shares(all_of_them))
    return np.asarray(np.linalg.norm(drawn / rows - all_of_them / len(vectors), axis=1)) * column.unit


def _shares(weights: Floats) -> Floats:
    return np.asarray(weights / max(weights.sum(), 1e-12))


def _bucket(rows: int) -> int:
    """Round down to two digits, so that windows of about the same size share a null (a little too high for them)."""
    unit = int(10 ** max(len(str(rows)) - 2, 0))
    return rows // unit * unit
