"""Anchors audit checkpoints in write-once storage, with the hashes of the entries since the last anchor.

With the hashes a verifier says which entry is not what it was; the root alone would tell only that one is not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.platform_core.audit.checkpoint import Checkpoint, opened
from loopline.platform_core.audit.entry import DEFAULT
from loopline.platform_core.audit.tables import audit_checkpoints
from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import VerifyingKey
    from loopline.platform_core.contracts.anchors import Anchors
    from loopline.platform_core.loop.ledger.ledger import Ledger

_done = audit_checkpoints.c


@dataclass(frozen=True)
class Anchor:
    """A note, and the hashes of the entries from number ``since`` on that its tree has."""

    name: str
    note: str
    since: int
    leaves: bytes

    def written(self) -> bytes:
        """Return the file's content."""
        leaves = base64.b64encode(self.leaves).decode()
        return json.dumps({"checkpoint": self.note, "from": self.since, "leaves": leaves}).encode()


def parsed(name: str, content: bytes) -> Anchor:
    """Read an anchor.

    Raises:
        ContractBroken: it is none.
    """
    try:
        told = json.loads(content)
        return Anchor(name, str(told["checkpoint"]), int(told["from"]), base64.b64decode(told["leaves"], validate=True))
    except (ValueError, KeyError, TypeError) as error:
        raise ContractBroken(f"{name} is no anchor: {error}", "see who wrote there beside the platform") from error


def kept(anchors: Anchors, tenant: str = DEFAULT) -> Iterator[tuple[str, bytes]]:
    """Yield a tenant's anchors as they are, the oldest first."""
    for name in anchors.names(tenant):
        yield name, anchors.read(name)


def anchor(ledger: Ledger, anchors: Anchors, key: VerifyingKey, tenant: str = DEFAULT) -> Checkpoint | None:
    """Write the newest checkpoint, if it is not there yet; None when it is, or when nothing is sealed.

    Raises:
        ContractBroken: what was anchored last is not in the ledger: the record was rewritten, or rolled back.
    """
    names = anchors.names(tenant)
    since = int(names[-1].rpartition("/")[2]) if names else 0
    if names:
        _hold(ledger, parsed(names[-1], anchors.read(names[-1])), since, tenant)
    newer = select(_done.note, _done.leaves).where(_done.tenant == tenant, _done.size > since).order_by(_done.size)
    with ledger.reading() as connection:
        rows = connection.execute(newer).all()
    if not rows:
        return None
    made = opened(rows[-1].note, key, tenant)
    name = f"{tenant}/{made.size:020d}"
    anchors.put(name, Anchor(name, rows[-1].note, since, b"".join(row.leaves for row in rows)).written())
    return made


def _hold(ledger: Ledger, last: Anchor, size: int, tenant: str) -> None:
    with ledger.reading() as connection:
        note = connection.scalar(select(_done.note).where(_done.tenant == tenant, _done.size == size))
    if note != last.note:
        raise ContractBroken(
            f"the checkpoint of {size} entries that was anchored is not in the ledger: the record was rewritten",
            "run 'loopline audit verify', which says what was changed, and restore the database",
        )
