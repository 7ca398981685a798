"""Firestore database as a ``nosql`` ``Service``: reads, conditional writes, deletes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import Transient
from loopline.resources.firestore.documents import (
    READS,
    WRITES,
    Place,
    batches,
    checked_name,
    counts,
    deletion,
    packed,
    write_of,
)
from loopline.resources.google_cloud.failure import ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND, OK, of_code
from loopline.resources.nosql.conditional_writes import Change, Held, Outcome, Seen

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key
    from loopline.resources.firestore.link import Link
    from loopline.resources.google_cloud.failure import Asked

BEATEN = (NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION)
"""Codes of a write whose document is no longer as it was seen."""


class FirestoreService:
    """The documents of all views; a request of a write ends within ``write_seconds``."""

    def __init__(self, link: Link, collection: str, write_seconds: float) -> None:
        self._link, self._collection, self._write_seconds = link, collection, write_seconds

    def name(self, view: str, key: Key) -> str | None:
        """Name a key's document; None where the key is too long for one."""
        return self._place(view).name(key)

    def parts(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Cut names into some hundred a request."""
        return [names[first : first + READS] for first in range(0, len(names), READS)]

    def read(self, names: Sequence[str], seconds: float) -> Mapping[str, bytes]:
        """Read packed rows in one BatchGetDocuments; the service's clock says whose time has come."""
        now_us, found = self._link.documents(names, seconds)
        return {name: packed(one) for name, one in found.items() if counts(one, now_us)}

    def rows(self, view: str) -> _ViewRows:
        """Return a view's documents."""
        return _ViewRows(self._link, self._place(view), self._write_seconds)

    def forget(self, view: str, after: str) -> str:
        """Delete up to 500 documents of a view."""
        place = self._place(view)
        return self._delete(self._link.names(place.parent, place.group, after, WRITES, self._write_seconds))

    def clear(self, after: str) -> str:
        """Delete up to 500 documents of any view of this collection, whose group nobody else has."""
        root, group = self._link.root, self._place("").group
        return self._delete(self._link.names(root, group, after, WRITES, self._write_seconds, anywhere=True))

    def _delete(self, names: list[str]) -> str:
        if names:
            for status in self._link.write([deletion(name) for name in names], self._write_seconds):
                if isinstance(outcome := _outcome(status, self._link.asked), Transient):
                    raise outcome
        return names[-1] if names else ""

    def close(self) -> None:
        """Let the channel go."""
        self._link.close()

    def _place(self, view: str) -> Place:
        return Place(self._link.root, self._collection, view)


class _ViewRows:
    """A view's documents, as they are looked at and changed."""

    def __init__(self, link: Link, place: Place, seconds: float) -> None:
        self._link, self._place, self._seconds = link, place, seconds

    def refuse_too_large(self, key: Key, packed: bytes) -> None:
        """Refuse a key or a row that no document can hold."""
        checked_name(self._place, key, packed)

    def look(self, keys: Sequence[Key]) -> Seen:
        """Read documents; a document's state is the time of its last change."""
        named = {name: key for key in keys if (name := self._place.name(key)) is not None}
        if not named:
            return Seen(0, {})
        now_us, found = self._link.documents(list(named), self._seconds)
        held = {named[name]: Held(packed(one), one.update_time, counts(one, now_us)) for name, one in found.items()}
        return Seen(now_us, held)

    def change(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write documents, as many in a request as the service takes; each write succeeds or fails by itself."""
        writes = [write_of(self._place, change) for change in changes]
        statuses = [status for batch in batches(writes) for status in self._link.write(batch, self._seconds)]
        return [_outcome(status, self._link.asked) for status in statuses]


def _outcome(status: Any, asked: Asked) -> Outcome:
    """Say what came of a write.

    Raises:
        Permanent: no other try would help.
    """
    if status.code in BEATEN:
        return False
    if status.code == OK:
        return True
    error = of_code(status.code, status.message, asked)
    if not isinstance(error, Transient):
        raise error
    return error
