"""Drift of embedding columns: kernel distance by random features, and the vectors' length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import Floats, measurable
from loopline.platform_core.monitor.drift import embeddings
from loopline.platform_core.monitor.drift.columns.base import (
    DRAWS,
    MEASURED_ROWS,
    Column,
    Kind,
    Part,
    Rows,
    Scorer,
    Tally,
    at_most,
    looked_up,
    own,
)
from loopline.platform_core.monitor.drift.columns.numeric import NumericColumn, NumericTally

UNIT_ROWS = 5_000
"""Vectors that the unit of the distance is found by."""


class EmbeddingTally(msgspec.Struct, Tally, frozen=True, tag="embedding"):
    """``rows`` vectors of ``total``: sums of their coordinates and of their random features, and their lengths."""

    sums: list[float]
    features: list[float]
    norms: NumericTally
    rows: int
    total: int


class EmbeddingColumn(msgspec.Struct, Column, frozen=True, tag="embedding"):
    """``rows`` vectors: mean and deviation of each coordinate, lengths, and the mean of their random features.

    Random features are cosines of the standardized vector along fixed directions, ``bandwidth`` wide; a distance of
    their means times ``unit`` is the shift of every coordinate, in its deviations, that would look as far.
    """

    kind: ClassVar[Kind] = "embedding"
    parts: ClassVar[tuple[str, ...]] = ("", "norms")

    mean: list[float]
    std: list[float]
    features: list[float]
    bandwidth: float
    unit: float
    norms: NumericColumn
    rows: int
    missing_share: float

    @classmethod
    def reads(cls, kind: pa.DataType) -> bool:
        """Read lists of numbers."""
        return embeddings.is_embedding(kind)

    @classmethod
    def served(cls, values: Sequence[Any]) -> pa.Array:
        """Return lists of float64."""
        return pa.array([value if _is_vector(value) else None for value in values], pa.list_(pa.float64()))

    @classmethod
    def profiled(cls, values: pa.ChunkedArray) -> EmbeddingColumn:
        """Measure at most ``MEASURED_ROWS`` vectors, those that have as many dimensions as the first."""
        read = at_most(MEASURED_ROWS, values.drop_null()).to_pylist()
        dimensions = len(read[0]) if read else 0
        vectors = embeddings.matrix(read, dimensions)
        if not vectors.size:
            return cls([], [], [], 1.0, 1.0, NumericColumn.of(np.empty(0)), 0, 1.0)
        mean, std = embeddings.scale(vectors)
        standard = (vectors - mean) / std
        width = embeddings.bandwidth(standard)
        return cls(
            mean=mean.tolist(),
            std=std.tolist(),
            features=embeddings.features(standard, width).mean(axis=0).tolist(),
            bandwidth=width,
            unit=embeddings.unit(standard[:UNIT_ROWS], width),
            norms=NumericColumn.of(np.linalg.norm(vectors, axis=1)),
            rows=len(vectors),
            missing_share=1 - (1 - values.null_count / len(values)) * len(vectors) / len(read),
        )

    def count(self, values: pa.ChunkedArray) -> EmbeddingTally:
        """Count vectors; one of another size, or with a value that is not measurable, is missing."""
        vectors, total = embeddings.matrix(values.drop_null().to_pylist(), len(self.mean)), len(values)
        norms = self.norms.count_numbers(np.linalg.norm(vectors, axis=1))
        if not vectors.size:
            return EmbeddingTally([0.0] * len(self.mean), [0.0] * len(self.features), norms, 0, total)
        found = self._random_features(vectors)
        return EmbeddingTally(vectors.sum(axis=0).tolist(), found.sum(axis=0).tolist(), norms, len(vectors), total)

    def measure(self, window: Tally) -> list[Part]:
        """Measure where the vectors lie, and how long they are."""
        window = own(EmbeddingTally, window)
        return [Part("", self._distance(window)), Part("norms", self.norms.distance(window.norms))]

    def describe(self, window: Tally) -> str:
        """Tell how far the coordinates' means moved, and the lengths."""
        window = own(EmbeddingTally, window)
        moved = (np.asarray(window.sums) / window.rows - self.mean) / self.std
        lengths = f"length {self.norms.mean:.4g} → {window.norms.added / window.rows:.4g}"
        far = int(np.argmax(np.abs(moved)))
        typical = float(np.sqrt(np.mean(moved**2)))
        return f"means of coordinates moved by {typical:.2f} deviations, most {far} by {moved[far]:+.2f}; {lengths}"

    def null(self, part: str, rows: int, sample: pa.ChunkedArray, random: np.random.Generator) -> Floats:
        """Draw whole vectors of the sample, for the features of one vector come together."""
        if part:
            return self.norms.chance(rows, random)
        found = self._random_features(embeddings.matrix(sample.drop_null().to_pylist(), len(self.mean)))
        if not len(found):
            return np.zeros(1)
        times = random.multinomial(rows, np.full(len(found), 1 / len(found)), size=DRAWS)
        drawn = times.astype(np.float32) @ found.astype(np.float32)
        return np.asarray(np.linalg.norm(drawn / rows - found.sum(axis=0) / len(found), axis=1)) * self.unit

    def scorer(self, values: pa.ChunkedArray) -> Scorer:
        """Take the random features of at most ``SCORED_ROWS`` vectors once, and average them."""
        place, read = looked_up(values)
        right = [one if len(one) == len(self.mean) else [math.nan] * len(self.mean) for one in read]
        vectors = np.asarray(right, dtype=np.float64).reshape(len(right), len(self.mean))
        there = np.append(measurable(vectors).all(axis=1), False)
        features = self._random_features(np.where(there[:-1, None], vectors, 0.0)).astype(np.float32)
        norms = self.norms.number_scorer(np.linalg.norm(np.where(there[:-1, None], vectors, 0.0), axis=1))

        def scored(rows: Rows) -> tuple[int, list[float]]:
            found = place[rows]
            found = found[there[found]]
            if not len(found):
                return 0, [0.0, 0.0]
            apart = features[found].mean(axis=0) - np.asarray(self.features)
            return len(found), [float(np.linalg.norm(apart)) * self.unit, *norms(found)[1]]

        return scored

    def _random_features(self, vectors: Floats) -> Floats:
        return embeddings.features((vectors - self.mean) / self.std, self.bandwidth)

    def _distance(self, window: EmbeddingTally) -> float:
        if not window.rows or not self.rows:
            return 0.0
        apart = np.asarray(window.features) / window.rows - np.asarray(self.features)
        return float(np.linalg.norm(apart)) * self.unit


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)
