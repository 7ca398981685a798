"""Kinds of columns that drift is measured of, one file each; a new one is its file and its name here."""

from __future__ import annotations

from loopline.platform_core.monitor.drift.columns.base import TEXT_KIND, Column, Kind, Part, Tally, added
from loopline.platform_core.monitor.drift.columns.category import CategoryColumn, CategoryTally
from loopline.platform_core.monitor.drift.columns.embedding import EmbeddingColumn, EmbeddingTally
from loopline.platform_core.monitor.drift.columns.listed import ListColumn, ListTally
from loopline.platform_core.monitor.drift.columns.numeric import NumericColumn, NumericTally
from loopline.platform_core.monitor.drift.columns.text import TextColumn, TextTally

__all__ = [
    "KINDS",
    "TEXT_KIND",
    "AnyColumn",
    "AnyTally",
    "CategoryColumn",
    "CategoryTally",
    "Column",
    "EmbeddingColumn",
    "EmbeddingTally",
    "Kind",
    "ListColumn",
    "ListTally",
    "NumericColumn",
    "NumericTally",
    "Part",
    "Tally",
    "TextColumn",
    "TextTally",
    "added",
]

AnyColumn = NumericColumn | CategoryColumn | TextColumn | EmbeddingColumn | ListColumn
"""What a profile in a package is read as."""
AnyTally = NumericTally | CategoryTally | TextTally | EmbeddingTally | ListTally
"""What a window's counts in the lake are read as."""
KINDS: tuple[type[AnyColumn], ...] = (TextColumn, CategoryColumn, ListColumn, EmbeddingColumn, NumericColumn)
"""All kinds; the first that reads a column and suits it takes it."""
