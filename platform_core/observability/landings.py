"""How much has landed of each source: totals over every landing in the ledger, kept between scrapes.

The ledger is append-only, so only landings that were recorded since the last scrape are added.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Integer, func, select

from loopline.platform_core.loop import tables
from loopline.platform_core.loop.entry_kinds import LANDED
from loopline.platform_core.loop.new_entries import SETTLED

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from loopline.platform_core.loop.ledger import Ledger

_entry = tables.entries.c


@dataclass(frozen=True)
class Landed:
    """Totals of a source: its landings, the newest of them, and the files or records, rows and dead letters."""

    landings: int
    newest: datetime
    arrivals: int
    rows: int
    dead: int

    def __add__(self, other: Landed) -> Landed:
        """Add other landings of the same source."""
        counted = (getattr(self, name) + getattr(other, name) for name in ("arrivals", "rows", "dead"))
        return Landed(self.landings + other.landings, max(self.newest, other.newest), *counted)


class Landings:
    """Sums every landing the first time, and later those that were recorded since; for many threads."""

    def __init__(self) -> None:
        self._until = 0
        self._kept: dict[str, Landed] = {}
        self._lock = threading.Lock()

    def totals(self, ledger: Ledger) -> dict[str, Landed]:
        """Return the totals of each source, by ``team/source``.

        Raises:
            StoreUnavailable: the ledger does not answer.
        """
        with self._lock, ledger.reading() as connection:
            settled = _settled(connection)
            if settled > self._until:
                more = _sums(connection, _entry.entry_id > self._until, _entry.entry_id <= settled)
                self._kept, self._until = _added(self._kept, more), settled
            return _added(self._kept, _sums(connection, _entry.entry_id > self._until))


def _settled(connection: Connection) -> int:
    """Return the newest landing that is so old that no entry with a smaller number can still appear."""
    old = (_entry.kind == LANDED, _entry.recorded_at <= datetime.now(UTC) - SETTLED)
    return connection.scalar(select(_entry.entry_id).where(*old).order_by(_entry.entry_id.desc()).limit(1)) or 0


def _sums(connection: Connection, *which: ColumnElement[bool]) -> dict[str, Landed]:
    source = _entry.details["source"].as_string().label("source")
    counted = (_entry.details[name].as_string().cast(Integer) for name in ("arrivals", "rows", "dead"))
    sums = (func.coalesce(func.sum(number), 0) for number in counted)
    query = select(source, func.count(), func.max(_entry.at), *sums).where(_entry.kind == LANDED, *which)
    return {name: Landed(*row) for name, *row in connection.execute(query.group_by(source))}


def _added(first: dict[str, Landed], more: dict[str, Landed]) -> dict[str, Landed]:
    return first | {name: first[name] + landed if name in first else landed for name, landed in more.items()}
