"""Running totals over all ledger entries of a kind, cached between scrapes.

The ledger is append-only, so only entries that were recorded since the last scrape are added.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sqlalchemy import select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.new_entries import SETTLED

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from loopline.platform_core.loop.ledger.ledger import Ledger

_entry = tables.entries.c
Key = TypeVar("Key", bound=Hashable)
Total = TypeVar("Total")


class Totals(ABC, Generic[Key, Total]):
    """Sums every entry of ``kind`` the first time, and later those that were recorded since; for many threads."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        self._until = 0
        self._kept: dict[Key, Total] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def sums(self, connection: Connection, after: int, *which: ColumnElement[bool]) -> dict[Key, Total]:
        """Sum the entries after a number (0: all) for which all of ``which`` holds; totals of one key can be added."""

    def totals(self, ledger: Ledger) -> dict[Key, Total]:
        """Return the total of each key.

        Raises:
            StoreUnavailable: the ledger does not answer.
        """
        of_kind, number = _entry.kind == self.kind, _entry.entry_id
        with self._lock, ledger.reading() as connection:
            settled = self._settled(connection)
            if settled > self._until:
                more = self.sums(connection, self._until, of_kind, number > self._until, number <= settled)
                self._kept, self._until = _added(self._kept, more), settled
            return _added(self._kept, self.sums(connection, self._until, of_kind, number > self._until))

    def _settled(self, connection: Connection) -> int:
        """Return the newest entry that is so old that none with a smaller number can still appear."""
        old = (_entry.kind == self.kind, _entry.recorded_at <= datetime.now(UTC) - SETTLED)
        return connection.scalar(select(_entry.entry_id).where(*old).order_by(_entry.entry_id.desc()).limit(1)) or 0


def _added(first: dict[Key, Any], more: dict[Key, Any]) -> dict[Key, Any]:
    return first | {key: first[key] + total if key in first else total for key, total in more.items()}
