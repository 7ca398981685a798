"""Seals new audit entries into the Merkle tree and signs its root, asynchronously from their writers."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, select
from sqlalchemy.exc import IntegrityError

from loopline.platform_core.audit import checkpoint as notes
from loopline.platform_core.audit.checkpoint import Checkpoint
from loopline.platform_core.audit.entry import DEFAULT, sealed
from loopline.platform_core.audit.merkle import Peaks, split
from loopline.platform_core.audit.tables import audit_checkpoints, audit_entries
from loopline.platform_core.errors import CommitConflict, ContractBroken, StoreUnavailable
from loopline.platform_core.foundation.clock import micros

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs
    from loopline.platform_core.loop.ledger.ledger import Ledger

SETTLED = timedelta(minutes=10)
"""Until an entry is this old, one with a smaller number may still appear: a transaction that began sooner."""
AT_ONCE = 100_000
"""The most entries that one checkpoint adds."""
_PAGE = 5_000
_Last = Row[Any, Any, Any, Any]
"""Size, note, settled and peaks of the last checkpoint."""
_entry, _done = audit_entries.c, audit_checkpoints.c


@dataclass(frozen=True)
class _Batch:
    members: array[int]
    leaves: bytes
    settled: int


def seal(
    ledger: Ledger, key: Signs, tenant: str = DEFAULT, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Checkpoint | None:
    """Seal every entry that is not sealed; None when there was none.

    Raises:
        ContractBroken: the last checkpoint is not one that this key signed, or the tree is not what it signed: nothing
        is put on top of that. CommitConflict: another process sealed at the same time. Transient: a key that is kept
        elsewhere cannot be asked; the problem says how many entries wait, and the next call seals them.
    """
    made = None
    while True:
        with ledger.reading() as connection:
            last = _last(connection, tenant)
            batch = _batch(connection, tenant, last, now())
        if batch is None:
            return made
        try:
            made = _seal(ledger, key, tenant, last, batch, now())
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{len(batch.members)} entries are not sealed yet: {error.problem}", error.fix
            ) from error


def _seal(  # noqa: PLR0913, PLR0917 - what is sealed, on what, by whom and when
    ledger: Ledger, key: Signs, tenant: str, last: _Last | None, batch: _Batch, at: datetime
) -> Checkpoint:
    tree = _grown_from(last, key, tenant)
    for leaf in split(batch.leaves):
        tree.add(leaf)
    made = Checkpoint(notes.origin(key, tenant), tree.size, tree.root(), at)
    row = {
        "tenant": tenant,
        "size": tree.size,
        "since": _size(last),
        "note": notes.signed(made, key),
        "settled": batch.settled,
        "top": max(batch.members),
        "members": packed(batch.members),
        "leaves": batch.leaves,
        "peaks": b"".join(tree.hashes),
    }
    try:
        with ledger.writing() as connection:
            connection.execute(insert(audit_checkpoints), row)
    except IntegrityError:
        raise _conflict() from None
    return made


def packed(members: Sequence[int]) -> bytes:
    """Return numbers as 8 bytes each, the most significant first."""
    found = array("q", members)
    if sys.byteorder == "little":
        found.byteswap()
    return found.tobytes()


def unpacked(members: bytes) -> array[int]:
    """Return the numbers again."""
    found = array("q")
    found.frombytes(members[: len(members) // 8 * 8])
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _grown_from(last: _Last | None, key: Signs, tenant: str) -> Peaks:
    """Return the tree as it was left, if it is what this key signed."""
    if last is None:
        return Peaks()
    tree = Peaks(last.size, split(last.peaks))
    said = notes.opened(last.note, key.verifying, tenant)
    if said.size != last.size or said.root != tree.root():
        raise ContractBroken(
            f"the record's tree of {last.size} entries is not the one that was signed",
            "run 'loopline audit verify', which says what was changed; nothing is sealed until the rows are restored",
        )
    return tree


def _batch(connection: Connection, tenant: str, last: _Last | None, now: datetime) -> _Batch | None:
    """Return what is to be added, in the order of its numbers."""
    since = last.settled if last else 0
    fresh = _unsealed(connection, tenant, since)
    if not fresh:
        return None
    chosen = fresh[:AT_ONCE]
    leaves = b"".join(_leaves(connection, tenant, chosen))
    old = micros(now - SETTLED)
    mine = (_entry.tenant == tenant, _entry.audit_id > since, _entry.recorded_us <= old)
    settled = max(since, connection.scalar(select(func.max(_entry.audit_id)).where(*mine)) or 0)
    return _Batch(
        array("q", chosen), leaves, settled if len(chosen) == len(fresh) else max(since, min(settled, chosen[-1]))
    )


def _unsealed(connection: Connection, tenant: str, since: int) -> list[int]:
    mine = select(_entry.audit_id).where(_entry.tenant == tenant, _entry.audit_id > since)
    late = select(_done.members).where(_done.tenant == tenant, _done.top > since)
    known = {number for (members,) in connection.execute(late) for number in unpacked(members)}
    return [number for (number,) in connection.execute(mine.order_by(_entry.audit_id)) if number not in known]


def _leaves(connection: Connection, tenant: str, chosen: Sequence[int]) -> list[bytes]:
    """Hash the entries with these numbers, which ascend."""
    leaves = []
    for at in range(0, len(chosen), _PAGE):
        page = chosen[at : at + _PAGE]
        wanted = set(page)
        between = (_entry.tenant == tenant, _entry.audit_id.between(page[0], page[-1]))
        rows = connection.execute(select(_entry.audit_id, _entry.body).where(*between).order_by(_entry.audit_id))
        leaves += [sealed(body) for number, body in rows if number in wanted]
    return leaves


def _last(connection: Connection, tenant: str) -> _Last | None:
    query = select(_done.size, _done.note, _done.settled, _done.peaks).where(_done.tenant == tenant)
    return connection.execute(query.order_by(_done.size.desc()).limit(1)).one_or_none()


def _size(last: _Last | None) -> int:
    return last.size if last else 0


def _conflict() -> CommitConflict:
    return CommitConflict("another process sealed the record at the same time", "it is sealed; seal again for the rest")
