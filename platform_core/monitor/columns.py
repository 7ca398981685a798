"""What a profile keeps of a column of the training set, by its kind."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["numeric", "category", "text", "embedding", "joint"]

TEXT_KIND = b"loopline.kind"
"""Metadata of an Arrow field; ``b"text"`` there says that a string column is measured as text."""
TOP = 50
"""Categories counted by name, and words of a text; the rest of the categories fold into one."""
KNOWN = 5_000
"""Names remembered of the categories beyond ``TOP``; a value that is not among them counts as unseen."""


class NumericColumn(msgspec.Struct, frozen=True, tag="numeric"):
    """Distribution of ``rows`` finite values: ``at[i]`` is the share ≤ ``edges[i]``, ``below[i]`` the share <.

    ``offsets[i]`` is how far the values between two edges lie beyond the first, summed, a row. Profiles of former
    releases have no ``mean`` and no ``offsets``; there, values between edges are taken as evenly spread.
    """

    edges: list[float]
    at: list[float]
    below: list[float]
    std: float
    rows: int
    missing_share: float
    mean: float | None = None
    offsets: list[float] = []


class CategoryColumn(msgspec.Struct, frozen=True, tag="category"):
    """Counts of ``rows`` values: the most frequent by name, ``other`` for all the rest, of which ``rest`` are names."""

    counts: dict[str, int]
    other: int
    rest: list[str]
    rows: int
    missing_share: float


class TextColumn(msgspec.Struct, frozen=True, tag="text"):
    """``rows`` texts: how often words fell into each bucket, words a text, and in how many texts ``top`` words are."""

    buckets: list[int]
    words: NumericColumn
    top: dict[str, int]
    rows: int
    missing_share: float


class EmbeddingColumn(msgspec.Struct, frozen=True, tag="embedding"):
    """``rows`` vectors: mean and deviation of each coordinate, lengths, and the mean of their random features.

    Random features are cosines of the standardized vector along fixed directions, ``bandwidth`` wide; a distance of
    their means times ``unit`` is the shift of every coordinate, in its deviations, that would look as far.
    """

    mean: list[float]
    std: list[float]
    features: list[float]
    bandwidth: float
    unit: float
    norms: NumericColumn
    rows: int
    missing_share: float


Column = NumericColumn | CategoryColumn | TextColumn | EmbeddingColumn
KINDS: dict[type[Column], Kind] = {
    NumericColumn: "numeric",
    CategoryColumn: "category",
    TextColumn: "text",
    EmbeddingColumn: "embedding",
}
