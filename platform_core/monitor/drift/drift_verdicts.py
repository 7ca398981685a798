"""Drift verdict of a window, column by column, as stored in the ledger; imports no array library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loopline.platform_core.foundation.clock import dates

JOINT = "(joint)"
"""All features together, judged like one more column."""


@dataclass(frozen=True)
class ColumnVerdict:
    """How far a column has moved: ``score`` in deviations, or Jensen-Shannon distance; 0 where it has no values.

    ``unseen_share`` of its values the training set never showed. A column has drifted when its score reaches the
    threshold, or when its ``missing_share`` has moved by more than chance and 0.1. ``moved`` says how, in words.
    All columns together are one more, of ``kind`` joint; its score is the area under a classifier's curve.
    """

    score: float
    threshold: float
    drifted: bool
    unseen_share: float
    missing_share: float
    kind: str = ""
    moved: str = ""


@dataclass(frozen=True)
class WindowVerdict:
    """What a window shows: a verdict a column; none while there are not ``enough`` rows to judge by.

    ``since`` and ``until`` are the times of its first and last event (ISO 8601), "" where they are not known. Without
    ``score`` among its columns another version answered some of its rows.
    """

    rows: int
    enough: bool
    columns: Mapping[str, ColumnVerdict]
    since: str = ""
    until: str = ""

    @property
    def dates(self) -> str:
        """Say from when to when."""
        return dates(self.since, self.until)

    @property
    def drifted(self) -> tuple[str, ...]:
        """Name the columns that have drifted."""
        return tuple(name for name, verdict in self.columns.items() if verdict.drifted)

    def without_words(self) -> WindowVerdict:
        """Return the figures alone: how a column moved may name values that are in rows."""
        return replace(self, columns={name: replace(verdict, moved="") for name, verdict in self.columns.items()})


def from_details(details: Mapping[str, Any]) -> WindowVerdict:
    """Read a verdict that an entry of the ledger holds."""
    columns = {name: ColumnVerdict(**entry) for name, entry in details["columns"].items()}
    return WindowVerdict(details["rows"], details["enough"], columns, details["since"], details["until"])
