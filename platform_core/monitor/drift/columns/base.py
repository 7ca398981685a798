"""Base class of kinds of columns: how one is profiled, counted, measured and described for drift.

A kind is one file beside this one: how its training values become a profile, how a window is counted, measured and
described against it, what chance alone would show, and what the joint classifier sees of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import Floats

Own = TypeVar("Own")
Rows = NDArray[np.int64]
Scorer = Callable[[Rows], tuple[int, list[float]]]
"""Takes places of rows; returns how many of them could be measured, and a value for each part."""
Kind = Literal["numeric", "category", "text", "embedding", "list", "joint"]

TEXT_KIND = b"loopline.kind"
"""Metadata of an Arrow field; ``b"text"`` there says that a string column is measured as text."""
NAMED_MOST = 3
"""Categories and words whose shares are told."""
WORTH = 0.01
"""A share that moved by less is not told."""
NEW = 5
"""Unseen values and words whose names a tally remembers, to explain with; no verdict rests on them."""
DRAWS = 400
"""Windows that are drawn to see what chance shows."""
MEASURED_ROWS = 50_000
"""Texts and vectors that a profile looks at; more would not tell more."""


SCORED_ROWS = 20_000
"""Texts and vectors of the training set that its blocks are measured by."""


@dataclass(frozen=True)
class Part:
    """One measure of a column: its name within the column (empty: the column itself), and its value."""

    name: str
    score: float


class Tally:
    """What a window shows of a column, counted on the grid of the reference: those of windows add up to a day's.

    Counts and sums add exactly, so a day is the sum of its hours whatever the hours are. ``rows`` are the values that
    can be measured of ``total``.
    """

    __slots__ = ()

    rows: int
    total: int


class Column:
    """What a profile keeps of a column of the training set: ``rows`` values, and the share that was missing."""

    __slots__ = ()

    kind: ClassVar[Kind]
    parts: ClassVar[tuple[str, ...]] = ("",)
    """Names of its measures."""

    rows: int
    missing_share: float

    @classmethod
    def reads(cls, kind: pa.DataType) -> bool:
        """Say whether values of an Arrow type can be of this kind."""
        raise NotImplementedError

    @classmethod
    def suits(cls, sample: pa.ChunkedArray, declared: Kind | None) -> bool:  # noqa: ARG003 - for those that choose
        """Say whether values that it can read are of this kind; the team may have declared one."""
        return True

    @classmethod
    def served(cls, values: Sequence[Any]) -> pa.Array:
        """Return values of JSON objects as Arrow's; what is of another type is null."""
        raise NotImplementedError

    @classmethod
    def profiled(cls, values: pa.ChunkedArray) -> Column:
        """Profile the training set's values.

        Raises:
            ContractBroken: they can be neither measured nor counted.
        """
        raise NotImplementedError

    def count(self, values: pa.ChunkedArray) -> Tally:
        """Count a window's values; what is of another type is missing."""
        raise NotImplementedError

    def measure(self, window: Tally) -> list[Part]:
        """Measure how far a window lies from the profile, one value for each of ``parts``."""
        raise NotImplementedError

    def describe(self, window: Tally) -> str:
        """Say in a few words how a window that has values moved."""
        raise NotImplementedError

    def null(self, part: str, rows: int, sample: pa.ChunkedArray, random: np.random.Generator) -> Floats:
        """Measure ``DRAWS`` windows of ``rows`` values that chance alone makes of the profile, or of its sample."""
        raise NotImplementedError

    def scorer(self, values: pa.ChunkedArray) -> Scorer:
        """Return what measures sets of the training set's own rows, one after the other; kinds know faster ways."""

        def scored(rows: Rows) -> tuple[int, list[float]]:
            window = self.count(values.take(pa.array(rows)))
            return window.rows, [part.score for part in self.measure(window)]

        return scored

    def inputs(self) -> list[str]:
        """Name what the joint classifier sees of the column: empty for its values, ``=x`` for being the category x."""
        return []

    def encoded(self, values: pa.ChunkedArray, wanted: str) -> Floats:  # noqa: ARG002 - for those with inputs
        """Return one of ``inputs`` a row, or for ``?`` whether it is missing."""
        return np.asarray(values.is_null().to_numpy(), dtype=np.float64)


def own(kind: type[Own], window: object) -> Own:
    """Return a window that is of a kind.

    Raises:
        TypeError: it is of another.
    """
    if isinstance(window, kind):
        return window
    raise TypeError(f"a {type(window).__name__} is no {kind.__name__}")


def added(tallies: Sequence[Tally]) -> Tally:
    """Add tallies of one column; all but the names in ``new`` is as if it were one window."""
    return reduce(_plus, tallies)


def most(counts: Mapping[str, int]) -> dict[str, int]:
    """Keep the ``NEW`` most frequent names."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:NEW])


def at_most(rows: int, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take so many values at even steps."""
    return column.take(pa.array(np.linspace(0, len(column) - 1, min(rows, len(column))).astype(np.int64)))


def looked_up(values: pa.ChunkedArray) -> tuple[Rows, list[Any]]:
    """Read at most ``SCORED_ROWS`` values at even steps; say of each row where its value is among them, or -1."""
    there = np.flatnonzero(values.is_valid().to_numpy())
    chosen = there[np.linspace(0, len(there) - 1, min(SCORED_ROWS, len(there))).astype(np.int64)]
    place = np.full(len(values), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    return place, values.take(pa.array(chosen)).to_pylist()


def as_shares(weights: Floats) -> Floats:
    """Divide weights by their sum."""
    return np.asarray(weights / max(weights.sum(), 1e-12))


def moved_shares(
    counts: Mapping[str, int], rows: int, others: Mapping[str, int], other_rows: int, between: str = " "
) -> list[str]:
    """Tell the shares that moved most, by at least ``WORTH``."""
    sides = {name: (count / rows, others.get(name, 0) / other_rows) for name, count in counts.items()}
    ranked = sorted(sides, key=lambda name: -abs(sides[name][1] - sides[name][0]))[:NAMED_MOST]
    worth = [name for name in ranked if abs(sides[name][1] - sides[name][0]) >= WORTH]
    return [f"{name}{between}{sides[name][0]:.0%} → {sides[name][1]:.0%}" for name in worth]


def _plus(one: Any, other: Any) -> Any:
    """Add field by field: numbers, lists of numbers, counts by name, tallies within."""
    if isinstance(one, msgspec.Struct):
        fields = one.__struct_fields__
        both = {name: _plus(getattr(one, name), getattr(other, name)) for name in fields}
        return type(one)(**{name: most(value) if name == "new" else value for name, value in both.items()})
    if isinstance(one, dict):
        return dict(Counter(one) + Counter(other))
    if isinstance(one, list):
        return [left + right for left, right in zip(one, other, strict=True)]
    return one + other
