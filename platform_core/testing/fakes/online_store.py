"""In-memory online store."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing

if TYPE_CHECKING:
    import pyarrow as pa

_shared: dict[str, dict[tuple[str, Key], OnlineRow]] = {}
_lock = threading.Lock()


class InMemoryOnlineStore(OnlineStore):
    """Rows in a dictionary; instances of one ``name`` share them within the process, as processes share a file."""

    name: str = ""
    _own: dict[tuple[str, Key], OnlineRow] = PrivateAttr(default_factory=dict)

    @property
    def held(self) -> dict[tuple[str, Key], OnlineRow]:
        """Return the rows by (view, key)."""
        return _shared.setdefault(self.name, {}) if self.name else self._own

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Look up rows for each (view, keys)."""
        with _lock:
            return [[self.held.get((view, key)) for key in keys] for view, keys in asks]

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity; what has become too old by now goes."""
        oldest_us = None if keep is None else keep.oldest_us
        with _lock:
            won = {
                (view, key): row
                for key, row in newest(entity, rows).items()
                if oldest_us is None or row.event_time_us >= oldest_us
                if (view, key) not in self.held or self.held[view, key].event_time_us <= row.event_time_us
            }
            self.held.update(won)
            old = [place for place, row in self.held.items() if oldest_us and row.event_time_us < oldest_us]
            for place in [place for place in old if place[0] == view]:
                del self.held[place]
        return len(won)

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void."""
        changed = 0
        with _lock:
            for key, row, until in replacing(entity, rows, void, keep):
                held = self.held.get((view, key))
                if held is not None and held.event_time_us > until:
                    continue
                if row is not None:
                    self.held[view, key] = row
                elif self.held.pop((view, key), None) is None:
                    continue
                changed += 1
        return changed

    def drop(self, view: str) -> None:
        """Forget a view."""
        with _lock:
            for place in [place for place in self.held if place[0] == view]:
                del self.held[place]
