"""Bigtable table as a ``nosql`` ``Service``: reads, conditional writes, deletes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Transient
from loopline.resources.bigtable.cells import DELETIONS, checked_key, parts, prefix_range, row_key, view_range
from loopline.resources.nosql.conditional_writes import Change, Held, Outcome, Seen
from loopline.resources.nosql.rate_limit import Throttled

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key
    from loopline.resources.bigtable.link import Link

WRITES_AT_ONCE = 500
"""Rows that are looked at in one request and changed in one round."""


class BigtableService:
    """The rows of all views; a request of a write ends within ``write_seconds``."""

    def __init__(self, link: Link, write_seconds: float, prefix: str) -> None:
        self._link, self._write_seconds, self._prefix = link, write_seconds, prefix

    def name(self, view: str, key: Key) -> str | None:
        """Name a key's row; None where the key is too long for one."""
        return row_key(self._prefix + view, key)

    def parts(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Cut names into some hundred a request."""
        return parts(names)

    def read(self, names: Sequence[str], seconds: float) -> Mapping[str, bytes]:
        """Read packed rows in one ReadRows; this machine's clock says whose time has come."""
        found, now = self._link.cells(names, seconds), _now_us()
        return {name: cell.packed for name, cell in found.items() if cell.until_us > now}

    def rows(self, view: str) -> _ViewRows:
        """Return a view's rows."""
        return _ViewRows(self._link, self._prefix + view, self._write_seconds)

    def forget(self, view: str, after: str) -> str:
        """Delete some hundred rows of a view."""
        return self._delete(view_range(self._prefix + view, after))

    def clear(self, after: str) -> str:
        """Delete some hundred rows of the views below the prefix."""
        return self._delete(prefix_range(self._prefix, after))

    def _delete(self, between: tuple[str, str]) -> str:
        names = self._link.names(*between, DELETIONS, self._write_seconds)
        if names:
            self._link.delete(names, self._write_seconds)
        return names[-1] if names else ""

    def close(self) -> None:
        """Let the channel go."""
        self._link.close()


class _ViewRows:
    """A view's rows, as they are looked at and changed."""

    def __init__(self, link: Link, view: str, seconds: float) -> None:
        self._link, self._view, self._seconds = link, view, seconds

    def refuse_too_large(self, key: Key, packed: bytes) -> None:
        """Refuse a key or a row that the service does not hold."""
        checked_key(self._view, key, packed)

    def look(self, keys: Sequence[Key]) -> Seen:
        """Read rows; a row's state is the mark of its last change."""
        named = {name: key for key in keys if (name := row_key(self._view, key)) is not None}
        held: dict[Key, Held] = {}
        for names in parts(list(named)):
            found, now = self._link.cells(names, self._seconds), _now_us()
            held |= {named[name]: Held(cell.packed, cell.mark, cell.until_us > now) for name, cell in found.items()}
        return Seen(_now_us(), held)

    def change(self, changes: Sequence[Change]) -> list[Outcome]:
        """Change rows, some at once; each succeeds or fails by itself. Of a service that is away no more is asked."""
        away: list[Transient] = []
        return list(self._link.writers.map(lambda change: self._changed(change, away), changes))

    def _changed(self, change: Change, away: list[Transient]) -> Outcome:
        if away:
            return away[0]
        name = checked_key(self._view, change.key, change.packed or b"")
        try:
            return self._link.change(name, change.seal, change.packed, change.until_us, self._seconds)
        except Throttled as error:
            return error
        except Transient as error:
            away.append(error)
            return error


def _now_us() -> int:
    return time.time_ns() // 1000
