"""Entries that were recorded since one last looked, for those who keep what they have read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, select

from platform_core.loop import tables

if TYPE_CHECKING:
    from platform_core.loop.ledger import Ledger

LOOKED_AT = 20_000
"""How many of the newest entries are looked at the first time."""
_entry = tables.entries.c


class Newer:
    """Reads entries of some kinds once each, oldest first; belongs to one thread at a time."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        self._read_to = 0

    def read(self, ledger: Ledger) -> Sequence[Row[Any, Any, Any, Any, Any, Any]]:
        """Return the entries (``kind``, ``team``, ``version``, ``at``, ``details``) since the last call."""
        told = select(_entry.entry_id, _entry.kind, _entry.team, _entry.version, _entry.at, _entry.details)
        newer = told.where(_entry.kind.in_(self._kinds), _entry.entry_id > self._read_to)
        with ledger.reading() as connection:
            rows = connection.execute(newer.order_by(_entry.entry_id.desc()).limit(LOOKED_AT)).all()
        if rows:
            self._read_to = rows[0].entry_id
        return rows[::-1]
