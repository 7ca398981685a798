"""Audit checkpoint: size and root of the Merkle tree, signed (C2SP's tlog-checkpoint in a signed note).

https://c2sp.org/tlog-checkpoint::

    <key's name>/<tenant>
    <size>
    <root, Base64>
    at <when it was signed>

    — <key's name> <Base64 of the key's id and the signature>
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from loopline.platform_core.audit import notes
from loopline.platform_core.audit.keys import Signs, VerifyingKey
from loopline.platform_core.errors import ContractBroken


@dataclass(frozen=True)
class Checkpoint:
    """What was signed: of whose record, how many entries, their root, and when."""

    origin: str
    size: int
    root: bytes
    at: datetime

    @property
    def text(self) -> str:
        """Return what the signature is of."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nat {self.at.isoformat(timespec='microseconds')}\n"


def origin(key: Signs | VerifyingKey, tenant: str) -> str:
    """Return the name of a tenant's record under a key."""
    return f"{key.name}/{tenant}"


def signed(checkpoint: Checkpoint, key: Signs) -> str:
    """Return the note."""
    return notes.signed(checkpoint.text, key)


def opened(note: str, key: VerifyingKey, tenant: str) -> Checkpoint:
    """Return what a note says, if this key signed it for this tenant.

    Raises:
        ContractBroken: it is no checkpoint, another tenant's, or its signature is not of this key.
    """
    text, by = notes.opened(note, key.every)
    if by is None:
        raise ContractBroken(
            f"a checkpoint is not signed by the key {key.name!r}", "see whether this is the key that signed then"
        )
    found = _parsed(text)
    if found.origin != origin(key, tenant):
        raise ContractBroken(f"a checkpoint is that of {found.origin}", f"give one of {origin(key, tenant)}")
    return found


def _parsed(text: str) -> Checkpoint:
    try:
        name, size, root, at, _ = text.split("\n")
        return Checkpoint(name, int(size), base64.b64decode(root, validate=True), datetime.fromisoformat(at[3:]))
    except ValueError as error:
        raise ContractBroken("a signed text is no checkpoint", "give one that Loopline signed") from error
