"""Drift of list columns: the mean of each list, and how many numbers it holds, each as a numeric column.

One value a row each, so chance is that of rows, whatever the numbers of one list have to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.drift import embeddings
from loopline.platform_core.monitor.drift.columns.base import Column, Kind, Part, Rows, Scorer, Tally, own
from loopline.platform_core.monitor.drift.columns.embedding import EmbeddingColumn
from loopline.platform_core.monitor.drift.columns.numeric import NumericColumn, NumericTally


class ListTally(msgspec.Struct, Tally, frozen=True, tag="list"):
    """``rows`` lists of ``total``: their means, and their lengths."""

    means: NumericTally
    lengths: NumericTally
    rows: int
    total: int


class ListColumn(msgspec.Struct, Column, frozen=True, tag="list"):
    """``rows`` lists: the distributions of their means and of their lengths."""

    kind: ClassVar[Kind] = "list"
    parts: ClassVar[tuple[str, ...]] = ("", "lengths")

    means: NumericColumn
    lengths: NumericColumn
    rows: int
    missing_share: float

    @classmethod
    def reads(cls, kind: pa.DataType) -> bool:
        """Read lists of numbers."""
        return embeddings.is_embedding(kind)

    @classmethod
    def suits(cls, sample: pa.ChunkedArray, declared: Kind | None) -> bool:  # noqa: ARG003 - lists are not declared
        """Take those of several lengths; equally long ones are vectors."""
        return len({len(value) for value in sample.drop_null().to_pylist()}) > 1

    @classmethod
    def served(cls, values: Sequence[Any]) -> pa.Array:
        """Return lists of float64."""
        return EmbeddingColumn.served(values)

    @classmethod
    def profiled(cls, values: pa.ChunkedArray) -> ListColumn:
        """Profile means and lengths."""
        means, lengths = _read(values)
        there = int(np.sum(np.isfinite(means)))
        missing = 1 - there / len(means) if len(means) else 0.0
        return cls(NumericColumn.of(means), NumericColumn.of(lengths), there, missing)

    def count(self, values: pa.ChunkedArray) -> ListTally:
        """Count lists; one that is empty, or without a mean, is missing."""
        means, lengths = _read(values)
        there = int(np.sum(np.isfinite(means)))
        return ListTally(self.means.count_numbers(means), self.lengths.count_numbers(lengths), there, len(values))

    def measure(self, window: Tally) -> list[Part]:
        """Measure both."""
        window = own(ListTally, window)
        return [Part("", self.means.distance(window.means)), Part("lengths", self.lengths.distance(window.lengths))]

    def describe(self, window: Tally) -> str:
        """Tell of both means."""
        window = own(ListTally, window)
        said = f"numbers a list {self.lengths.mean:.3g} → {window.lengths.added / window.rows:.3g}"
        return f"{self.means.describe(window.means)}, {said}"

    def null(self, part: str, rows: int, sample: pa.ChunkedArray, random: np.random.Generator) -> Floats:  # noqa: ARG002
        """Draw windows from the profile itself."""
        return (self.lengths if part else self.means).chance(rows, random)

    def scorer(self, values: pa.ChunkedArray) -> Scorer:
        """Measure sets of rows by both."""
        means, lengths = _read(values)
        one, other = self.means.number_scorer(means), self.lengths.number_scorer(lengths)

        def scored(rows: Rows) -> tuple[int, list[float]]:
            found, scores = one(rows)
            return found, [*scores, *other(rows)[1]]

        return scored


def _read(values: pa.ChunkedArray) -> tuple[Floats, Floats]:
    """Return each list's mean and length; NaN both for one that is missing, or whose mean is no number."""
    means = np.array([np.mean(one) if one else np.nan for one in values.to_pylist()], dtype=np.float64)
    lengths = np.array([len(one) if one else np.nan for one in values.to_pylist()], dtype=np.float64)
    return means, np.where(np.isfinite(means), lengths, np.nan)
