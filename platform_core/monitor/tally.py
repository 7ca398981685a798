"""What a window shows of a column, counted on the grid of the reference: tallies of windows add up to those of a day.

Counts and sums add exactly, so a day is the sum of its hours whatever the hours are. Between two edges of the
reference only the sum of a window's values is kept, not where each of them lies: see ``scores.numeric``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import Floats, between, finite
from loopline.platform_core.monitor import embeddings, word_sketch
from loopline.platform_core.monitor.columns import CategoryColumn, Column, EmbeddingColumn, NumericColumn, TextColumn
from loopline.platform_core.monitor.values import numbers, texts

NEW = 5
"""Unseen values and words whose names a tally remembers, to explain with; no verdict rests on them."""


class NumericTally(msgspec.Struct, frozen=True, tag="numeric"):
    """``rows`` measurable values of ``total``: how many are ≤ and < each edge, and their sums between the edges.

    ``sums`` has one entry more than there are edges: from the nearest edge outside of both ends, else from the left.
    """

    at: list[int]
    below: list[int]
    sums: list[float]
    added: float
    rows: int
    total: int


class CategoryTally(msgspec.Struct, frozen=True, tag="category"):
    """``rows`` values of ``total``: counts of the reference's names, of its rest, and of what it never showed."""

    counts: dict[str, int]
    rest: int
    unseen: int
    new: dict[str, int]
    rows: int
    total: int


class TextTally(msgspec.Struct, frozen=True, tag="text"):
    """``rows`` texts of ``total``: words a bucket, words a text, in how many texts the reference's top words are."""

    buckets: list[int]
    words: NumericTally
    top: dict[str, int]
    new: dict[str, int]
    rows: int
    total: int


class EmbeddingTally(msgspec.Struct, frozen=True, tag="embedding"):
    """``rows`` vectors of ``total``: sums of their coordinates and of their random features, and their lengths."""

    sums: list[float]
    features: list[float]
    norms: NumericTally
    rows: int
    total: int


Tally = NumericTally | CategoryTally | TextTally | EmbeddingTally


def tally(column: Column, values: pa.ChunkedArray) -> Tally:
    """Count values of a window against the profile of their column; what is of another type is missing."""
    if isinstance(column, NumericColumn):
        return of_numbers(column, numbers(values))
    if isinstance(column, CategoryColumn):
        return of_counts(column, texts(values), len(values))
    if isinstance(column, TextColumn):
        return _of_texts(column, values.drop_null().to_pylist(), len(values))
    return _of_vectors(column, values.drop_null().to_pylist(), len(values))


def of_numbers(column: NumericColumn, values: Floats) -> NumericTally:
    """Count numbers."""
    ordered, edges = np.sort(finite(values)), np.asarray(column.edges)
    if not len(edges):
        return NumericTally([], [], [], 0.0, 0, len(values))
    at, below = (np.searchsorted(ordered, edges, side=side) for side in ("right", "left"))
    sums = between(ordered, edges, at, below)
    return NumericTally(at.tolist(), below.tolist(), sums.tolist(), float(ordered.sum()), len(ordered), len(values))


def of_counts(column: CategoryColumn, counts: Mapping[str, int], total: int) -> CategoryTally:
    """Count categories; ``total`` holds the missing ones as well."""
    named = {name: counts[name] for name in column.counts if name in counts}
    known = set(column.rest)
    unseen = {name: count for name, count in counts.items() if name not in column.counts and name not in known}
    rows = sum(counts.values())
    strange = sum(unseen.values())
    return CategoryTally(named, rows - sum(named.values()) - strange, strange, _most(unseen), rows, total)


def _of_texts(column: TextColumn, values: Sequence[str], total: int) -> TextTally:
    sums, lengths, within = word_sketch.counted(values)
    top = {word: within[word] for word in column.top if word in within}
    new = {word: count for word, count in within.items() if word not in column.top}
    counts = sums.astype(int).tolist()
    return TextTally(counts, of_numbers(column.words, lengths), top, _most(new), len(values), total)


def _of_vectors(column: EmbeddingColumn, values: list[Any], total: int) -> EmbeddingTally:
    vectors = embeddings.matrix(values, len(column.mean))
    norms = of_numbers(column.norms, np.linalg.norm(vectors, axis=1))
    if not vectors.size:
        return EmbeddingTally([0.0] * len(column.mean), [0.0] * len(column.features), norms, 0, total)
    found = embeddings.column_features(column, vectors)
    return EmbeddingTally(vectors.sum(axis=0).tolist(), found.sum(axis=0).tolist(), norms, len(vectors), total)


def added(tallies: Sequence[Tally]) -> Tally:
    """Add tallies of one column; all but the names in ``new`` is as if it were one window."""
    return reduce(_plus, tallies)


def _plus(one: Any, other: Any) -> Any:
    """Add field by field: numbers, lists of numbers, counts by name, tallies within."""
    if isinstance(one, msgspec.Struct):
        fields = one.__struct_fields__
        both = {name: _plus(getattr(one, name), getattr(other, name)) for name in fields}
        return type(one)(**{name: _most(value) if name == "new" else value for name, value in both.items()})
    if isinstance(one, dict):
        return dict(Counter(one) + Counter(other))
    if isinstance(one, list):
        return [left + right for left, right in zip(one, other, strict=True)]
    return one + other


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:NEW])
