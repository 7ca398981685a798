"""Cosmos DB container as a ``nosql`` ``Service``: reads, conditional writes, deletes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Transient
from loopline.resources.cosmos.items import counts, item_id, item_of, now_us, packed, parts
from loopline.resources.nosql.conditional_writes import Change, Held, Outcome, Seen

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key
    from loopline.resources.cosmos.link import Link

WRITES_AT_ONCE = 100
"""Rows that are looked at and changed in one round; each is a partition of its own, so that no two share a request."""


class CosmosService:
    """The items of all views; a request of a write ends within ``write_seconds``."""

    def __init__(self, link: Link, write_seconds: float, prefix: str) -> None:
        self._link, self._write_seconds, self._prefix = link, write_seconds, prefix

    def name(self, view: str, key: Key) -> str | None:
        """Name a key's item; None where the key is too long for one."""
        return item_id(self._prefix + view, key)

    def parts(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Cut names into some hundred a call."""
        return parts(names)

    def read(self, names: Sequence[str], seconds: float) -> Mapping[str, bytes]:
        """Read packed rows; this machine's clock says whose time has come."""
        now, items = now_us(), self._link.items(names, seconds)
        return {item["id"]: packed(item) for item in items if counts(item, now)}

    def rows(self, view: str) -> _ViewRows:
        """Return a view's items."""
        return _ViewRows(self._link, self._prefix + view, self._write_seconds)

    def forget(self, view: str, after: str) -> str:  # noqa: ARG002 - what was deleted is not listed again
        """Delete up to 500 items of a view."""
        return self._delete(self._link.ids(self._prefix + view, self._write_seconds))

    def clear(self, after: str) -> str:  # noqa: ARG002 - what was deleted is not listed again
        """Delete up to 500 items of the views below the prefix."""
        return self._delete(self._link.ids(self._prefix, self._write_seconds, below=True))

    def _delete(self, names: list[str]) -> str:
        list(self._link.writers.map(lambda name: self._link.delete(name, None, self._write_seconds), names))
        return names[-1] if names else ""

    def close(self) -> None:
        """Let connections go."""
        self._link.close()


class _ViewRows:
    """A view's items, as they are looked at and changed."""

    def __init__(self, link: Link, view: str, seconds: float) -> None:
        self._link, self._view, self._seconds = link, view, seconds

    def refuse_too_large(self, key: Key, packed: bytes) -> None:
        """Refuse a key or a row that no item can hold."""
        item_of(self._view, key, packed, None)

    def look(self, keys: Sequence[Key]) -> Seen:
        """Read items; an item's state is its ETag."""
        named = {name: key for key in keys if (name := item_id(self._view, key)) is not None}
        now, held = now_us(), {}
        for names in parts(list(named)):
            for item in self._link.items(names, self._seconds):
                held[named[item["id"]]] = Held(packed(item), item["_etag"], counts(item, now))
        return Seen(now, held)

    def change(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write items, some at once; each succeeds or fails by itself."""
        return list(self._link.writers.map(self._changed, changes))

    def _changed(self, change: Change) -> Outcome:
        try:
            if change.packed is None:
                return self._link.delete(item_id(self._view, change.key) or "", change.seal, self._seconds)
            item = item_of(self._view, change.key, change.packed, change.until_us)
            if change.seal is None:
                return self._link.create(item, self._seconds)
            return self._link.replace(item, change.seal, self._seconds)
        except Transient as error:
            return error
