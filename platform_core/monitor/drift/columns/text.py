"""Drift of text columns: Jensen-Shannon distance of words hashed into buckets, and the number of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.foundation.distance import Floats, js_distance, js_distances
from loopline.platform_core.monitor.drift import word_sketch
from loopline.platform_core.monitor.drift.columns.base import (
    DRAWS,
    MEASURED_ROWS,
    Column,
    Kind,
    Part,
    Rows,
    Scorer,
    Tally,
    as_shares,
    at_most,
    looked_up,
    most,
    moved_shares,
    own,
)
from loopline.platform_core.monitor.drift.columns.category import CategoryColumn
from loopline.platform_core.monitor.drift.columns.numeric import NumericColumn, NumericTally
from loopline.platform_core.monitor.drift.values import is_text

TOP = 50
"""Words that are counted by name."""


class TextTally(msgspec.Struct, Tally, frozen=True, tag="text"):
    """``rows`` texts of ``total``: words a bucket, words a text, in how many texts the reference's top words are."""

    buckets: list[int]
    words: NumericTally
    top: dict[str, int]
    new: dict[str, int]
    rows: int
    total: int


class TextColumn(msgspec.Struct, Column, frozen=True, tag="text"):
    """``rows`` texts: how often words fell into each bucket, words a text, and in how many texts ``top`` words are."""

    kind: ClassVar[Kind] = "text"
    parts: ClassVar[tuple[str, ...]] = ("", "words")

    buckets: list[int]
    words: NumericColumn
    top: dict[str, int]
    rows: int
    missing_share: float

    @classmethod
    def reads(cls, kind: pa.DataType) -> bool:
        """Read strings, and lists of them."""
        return is_text(kind) or _is_list(kind)

    @classmethod
    def suits(cls, sample: pa.ChunkedArray, declared: Kind | None) -> bool:
        """Take what is declared as text, what looks like it, and every list: its texts together are one."""
        if _is_list(sample.type):
            return True
        return declared == cls.kind if declared else word_sketch.looks_like_text(sample.drop_null().to_pylist())

    @classmethod
    def served(cls, values: Sequence[Any]) -> pa.Array:
        """Return strings."""
        return CategoryColumn.served([_joined(value) for value in values])

    @classmethod
    def profiled(cls, values: pa.ChunkedArray) -> TextColumn:
        """Count words of at most ``MEASURED_ROWS`` texts."""
        read = at_most(MEASURED_ROWS, _texts(values).drop_null()).to_pylist()
        sums, lengths, within = word_sketch.counted(read)
        return cls(
            buckets=sums.astype(int).tolist(),
            words=NumericColumn.of(lengths),
            top=dict(within.most_common(TOP)),
            rows=len(read),
            missing_share=values.null_count / len(values) if len(values) else 0.0,
        )

    def count(self, values: pa.ChunkedArray) -> TextTally:
        """Count words."""
        read: list[str] = _texts(values).drop_null().to_pylist()
        sums, lengths, within = word_sketch.counted(read)
        top = {word: within[word] for word in self.top if word in within}
        new = {word: count for word, count in within.items() if word not in self.top}
        counts = sums.astype(int).tolist()
        return TextTally(counts, self.words.count_numbers(lengths), top, most(new), len(read), len(values))

    def measure(self, window: Tally) -> list[Part]:
        """Measure which words there are, and how many a text has."""
        window = own(TextTally, window)
        return [
            Part("", js_distance(self.buckets, window.buckets)),
            Part("words", self.words.distance(window.words)),
        ]

    def describe(self, window: Tally) -> str:
        """Tell the words a text, and the words whose shares moved most."""
        window = own(TextTally, window)
        both, seen = self.top | dict.fromkeys(window.new, 0), window.top | window.new
        moved = [f"'{one}" for one in moved_shares(both, self.rows, seen, window.rows, "' in ")]
        before, after = self.words.mean, window.words.added / window.rows
        return ", ".join([f"{before:.3g} → {after:.3g} words a text", *moved])

    def null(self, part: str, rows: int, sample: pa.ChunkedArray, random: np.random.Generator) -> Floats:
        """Draw whole texts of the sample, for the words of one text come together."""
        if part:
            return self.words.chance(rows, random)
        vectors = word_sketch.vectors(_texts(sample).drop_null().to_pylist())
        if not len(vectors):
            return np.zeros(1)
        times = random.multinomial(rows, np.full(len(vectors), 1 / len(vectors)), size=DRAWS)
        drawn = times.astype(np.float32) @ vectors.astype(np.float32)
        shares = drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1)
        return js_distances(shares, as_shares(vectors.sum(axis=0)))

    def scorer(self, values: pa.ChunkedArray) -> Scorer:
        """Cut at most ``SCORED_ROWS`` texts into words once, and add up their buckets."""
        place, read = looked_up(_texts(values))
        vectors = word_sketch.vectors(read).astype(np.uint16)
        lengths = self.words.number_scorer(vectors.sum(axis=1, dtype=np.float64))

        def scored(rows: Rows) -> tuple[int, list[float]]:
            found = place[rows]
            found = found[found >= 0]
            sums = vectors[found].sum(axis=0, dtype=np.float64)
            return len(found), [js_distance(self.buckets, sums), *lengths(found)[1]]

        return scored


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and is_text(kind.value_type))


def _texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write each list of texts as one."""
    return pc.binary_join(values, " ") if _is_list(values.type) else values


def _joined(value: Any) -> Any:
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return " ".join(value) if is_list else value
