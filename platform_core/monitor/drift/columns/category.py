"""Drift of categorical columns: Jensen-Shannon distance of the shares of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.foundation.distance import Floats, js_distance, js_distances
from loopline.platform_core.monitor.drift.columns.base import (
    DRAWS,
    NAMED_MOST,
    WORTH,
    Column,
    Kind,
    Part,
    Rows,
    Scorer,
    Tally,
    as_shares,
    most,
    moved_shares,
    own,
)
from loopline.platform_core.monitor.drift.values import is_text, texts

TOP = 50
"""Categories counted by name; the rest of them fold into one."""
KNOWN = 5_000
"""Names remembered of the categories beyond ``TOP``; a value that is not among them counts as unseen."""
INPUTS = 3
"""Most frequent categories that are an input each of the joint classifier."""
RARE = 0.02
"""A category that is rarer (or its absence) is no input."""


class CategoryTally(msgspec.Struct, Tally, frozen=True, tag="category"):
    """``rows`` values of ``total``: counts of the reference's names, of its rest, and of what it never showed."""

    counts: dict[str, int]
    rest: int
    unseen: int
    new: dict[str, int]
    rows: int
    total: int


class CategoryColumn(msgspec.Struct, Column, frozen=True, tag="category"):
    """Counts of ``rows`` values: the most frequent by name, ``other`` for all the rest, of which ``rest`` are names."""

    kind: ClassVar[Kind] = "category"

    counts: dict[str, int]
    other: int
    rest: list[str]
    rows: int
    missing_share: float

    @classmethod
    def reads(cls, kind: pa.DataType) -> bool:
        """Read strings."""
        return is_text(kind)

    @classmethod
    def served(cls, values: Sequence[Any]) -> pa.Array:
        """Return strings."""
        return pa.array([None if value is None else str(value) for value in values], pa.string())

    @classmethod
    def profiled(cls, values: pa.ChunkedArray) -> CategoryColumn:
        """Count the values by name."""
        counts, rows = texts(values), len(values)
        ranked = sorted(counts, key=lambda name: (-counts[name], name))
        present = sum(counts.values())
        return cls(
            counts={name: counts[name] for name in ranked[:TOP]},
            other=sum(counts[name] for name in ranked[TOP:]),
            rest=ranked[TOP : TOP + KNOWN],
            rows=present,
            missing_share=1 - present / rows if rows else 0.0,
        )

    def count(self, values: pa.ChunkedArray) -> CategoryTally:
        """Count a column's values."""
        return self.count_names(texts(values), len(values))

    def count_names(self, counts: Mapping[str, int], total: int) -> CategoryTally:
        """Sort counts by name into those of the reference and others; ``total`` holds the missing ones as well."""
        named = {name: counts[name] for name in self.counts if name in counts}
        known = set(self.rest)
        unseen = {name: count for name, count in counts.items() if name not in self.counts and name not in known}
        rows = sum(counts.values())
        strange = sum(unseen.values())
        return CategoryTally(named, rows - sum(named.values()) - strange, strange, most(unseen), rows, total)

    def measure(self, window: Tally) -> list[Part]:
        """Measure the distance; unseen values count as other."""
        window = own(CategoryTally, window)
        named = [window.counts.get(name, 0) for name in self.counts]
        return [Part("", js_distance([*self.counts.values(), self.other], [*named, window.rest + window.unseen]))]

    def describe(self, window: Tally) -> str:
        """Tell the shares that moved most, and what training never showed."""
        window = own(CategoryTally, window)
        moved = moved_shares(self.counts, self.rows, window.counts, window.rows)
        if window.unseen >= WORTH * window.rows:
            names = ", ".join(list(window.new)[:NAMED_MOST])
            moved.append(f"unseen 0% → {window.unseen / window.rows:.0%} ({names})")
        return ", ".join(moved)

    def null(self, part: str, rows: int, sample: pa.ChunkedArray, random: np.random.Generator) -> Floats:  # noqa: ARG002
        """Draw windows from the profile itself."""
        if not self.rows:
            return np.zeros(1)
        shares = as_shares(np.array([*self.counts.values(), self.other], dtype=np.float64))
        return js_distances(random.multinomial(rows, shares, size=DRAWS) / rows, shares)

    def scorer(self, values: pa.ChunkedArray) -> Scorer:
        """Give each name a number once, and count those."""
        shares = np.array([*self.counts.values(), self.other], dtype=np.float64)
        names = pa.array(list(self.counts), pa.string())
        read = values.cast(pa.string())
        codes = pc.fill_null(pc.index_in(read, names), len(names)).to_numpy()
        codes = np.where(read.is_null().to_numpy(), -1, codes)

        def scored(rows: Rows) -> tuple[int, list[float]]:
            found = codes[rows]
            found = found[found >= 0]
            return len(found), [js_distance(shares, np.bincount(found, minlength=len(shares)))]

        return scored

    def inputs(self) -> list[str]:
        """Show which of the most frequent categories it is."""
        shares = {name: count / self.rows for name, count in self.counts.items()} if self.rows else {}
        return [f"={name}" for name in list(shares)[:INPUTS] if RARE < shares[name] < 1 - RARE]

    def encoded(self, values: pa.ChunkedArray, wanted: str) -> Floats:
        """Return 1 where it is the category."""
        if wanted == "?":
            return super().encoded(values, wanted)
        return np.array([value == wanted[1:] for value in values.cast(pa.string()).to_pylist()], dtype=np.float64)
