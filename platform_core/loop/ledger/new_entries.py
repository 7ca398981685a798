"""Incremental reader of the ledger: the entries recorded since it last looked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, select

from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

LOOKED_AT = 20_000
"""How many of the newest entries are looked at the first time."""
SETTLED = timedelta(minutes=1)
"""The longest that a transaction of the ledger lasts.

Until an entry is this old, one with a smaller number may still appear: PostgreSQL numbers entries when they are
written, and shows them when they are committed.
"""
_entry = tables.entries.c


class Newer:
    """Reads entries of some kinds once each, oldest first; belongs to one thread at a time."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        self._settled = 0
        self._seen: set[int] = set()

    def read(self, ledger: Ledger) -> Sequence[Row[Any, Any, Any, Any, Any, Any, Any]]:
        """Return the entries (``kind``, ``team``, ``version``, ``at``, ``details``) since the last call.

        Of two that were recorded at the same time, the one with the greater number may come first, in a call before.
        """
        e = _entry
        told = select(e.entry_id, e.recorded_at, e.kind, e.team, e.version, e.at, e.details)
        newer = told.where(e.kind.in_(self._kinds), e.entry_id > self._settled)
        with ledger.reading() as connection:
            rows = connection.execute(newer.order_by(e.entry_id.desc()).limit(LOOKED_AT)).all()[::-1]
        fresh = [row for row in rows if row.entry_id not in self._seen]
        self._settle(rows)
        return fresh

    def _settle(self, rows: Sequence[Row[Any, Any, Any, Any, Any, Any, Any]]) -> None:
        """Forget which of the rows were seen below the number under which no more can appear."""
        if len(rows) == LOOKED_AT:
            self._settled = rows[0].entry_id - 1
        settled = datetime.now(UTC) - SETTLED
        old = [row.entry_id for row in rows if row.recorded_at <= settled]
        self._settled = max([self._settled, *old])
        self._seen = {row.entry_id for row in rows if row.entry_id > self._settled}
