"""Document layout in Firestore: names, packed rows, time to live, and the service's limits.

``<collection>/<view>/<collection>_rows/<xx>-<key>``: all rows of all views are one collection group, so that one policy
for their time to live and one exemption from indexes serve them all. ``<xx>`` scatters keys that follow one another,
which would otherwise be written side by side. Fields: ``row``, in the encoding of every store, and ``expires_at``.

Source: https://cloud.google.com/firestore/quotas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.errors import ContractBroken
from loopline.resources.nosql.key_encoding import scattered, spelled

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key
    from loopline.resources.nosql.conditional_writes import Change

ID_BYTES = 1500
DOCUMENT_BYTES = 1_048_576
REQUEST_BYTES = 9_000_000
"""Of the 10 MiB that a request may have; the rest is its wrapping."""
WRITES = 500
READS = 500
"""Documents asked in one request; there is no limit, but an answer comes sooner from several."""
ROW, EXPIRES_AT = "row", "expires_at"
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, which is the last that a timestamp holds."""
_WRAPPING = 200


class Place(NamedTuple):
    """Where a view's rows lie: ``projects/p/databases/d/documents``, and the collection of all views."""

    root: str
    collection: str
    view: str

    @property
    def parent(self) -> str:
        """Return the view's own document, which need not exist."""
        return f"{self.root}/{self.collection}/{spelled(self.view)}"

    @property
    def group(self) -> str:
        """Return the collection group that policies name."""
        return f"{self.collection}_rows"

    def name(self, key: Key) -> str | None:
        """Name a key's document; None where the key is too long for one."""
        spelling = spelled(key)
        if len(spelling) + 3 > ID_BYTES:
            return None
        return f"{self.parent}/{self.group}/{scattered(spelling)}"


def packed(document: Any) -> bytes:
    """Return the row that a document holds.

    Raises:
        ContractBroken: it holds none.
    """
    if ROW not in document.fields:
        fix = "drop the view online and refill it; nothing else may write where the online store does"
        raise ContractBroken(f"the document {document.name} has no field {ROW!r}", fix)
    return bytes(document.fields[ROW].bytes_value)


def counts(document: Any, now_us: int) -> bool:
    """Say whether a document's time has not come yet: the service deletes it up to a day later."""
    return EXPIRES_AT not in document.fields or document.fields[EXPIRES_AT].timestamp_value.ToMicroseconds() > now_us


def checked_name(place: Place, key: Key, packed: bytes) -> str:
    """Name the document of a row.

    Raises:
        ContractBroken: the key or the row is more than a document may hold.
    """
    name = place.name(key)
    if name is None:
        fix = f"use keys of at most {ID_BYTES - 3} letters and digits; every other byte counts three times"
        raise ContractBroken(f"a key of {place.view!r} is too long for Firestore: {key[:40]!r}...", fix)
    if len(name) + len(packed) + _WRAPPING > DOCUMENT_BYTES:
        problem = f"a row of {place.view!r} has {len(packed)} bytes; a document of Firestore has 1 MiB at most"
        raise ContractBroken(problem, "give the view fewer or shorter features")
    return name


def write_of(place: Place, change: Change) -> Any:
    """Make the message of a change: ``google.firestore.v1.Write``.

    Raises:
        ContractBroken: the key or the row is more than a document may hold.
    """
    from google.cloud.firestore_v1.types import write as messages

    name = checked_name(place, change.key, change.packed or b"")
    message = messages.Write.pb(messages.Write())
    if change.seal is None:
        message.current_document.exists = False
    else:
        message.current_document.update_time.CopyFrom(change.seal)
    if change.packed is None:
        message.delete = name
        return message
    message.update.name = name
    message.update.fields[ROW].bytes_value = change.packed
    if change.until_us is not None:
        seconds, micros = divmod(change.until_us, 1_000_000)
        stamp = message.update.fields[EXPIRES_AT].timestamp_value
        stamp.seconds, stamp.nanos = min(seconds, _LAST_SECOND), micros * 1000
    return message


def deletion(name: str) -> Any:
    """Make the message that deletes a document, whatever it holds."""
    from google.cloud.firestore_v1.types import write as messages

    message = messages.Write.pb(messages.Write())
    message.delete = name
    return message


def batches(writes: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut writes into requests that the service takes."""
    batch: list[Any] = []
    size = 0
    for write in writes:
        own = write.ByteSize() + 10
        if batch and (len(batch) == WRITES or size + own > REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += own
    if batch:
        yield batch
