"""Audit export: entries as JSON Lines with inclusion proofs, and as OCSF or CEF for a SIEM."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from loopline.platform_core.audit.cef import line, release
from loopline.platform_core.audit.entry import DEFAULT, AuditEntry, shown
from loopline.platform_core.audit.entry import sealed as leaf
from loopline.platform_core.audit.merkle import Tree
from loopline.platform_core.audit.reading import Wanted, bodies
from loopline.platform_core.audit.verifying import Sealed
from loopline.platform_core.errors import ContractBroken, NotFound

_ACTIVITY = {"opened": 1, "registered": 1, "pinned": 2, "exported": 2, "changed": 3, "overridden": 3, "retired": 4}
_OTHER = 99
_API_ACTIVITY, _APPLICATION_ACTIVITY = 6003, 6


OFFLINE = Path(__file__).with_name("offline.py")
"""The script that verifies an export far from here."""


def proven(connection: Connection, wanted: Wanted, tenant: str = DEFAULT, since: int = 0) -> Iterator[str]:
    """Yield lines of JSON: the newest checkpoint, then each sealed entry that is wanted with its proof.

    ``since`` is the size of an earlier checkpoint: the first line then proves that the record only grew from there.

    Raises:
        NotFound: nothing is sealed, or less than ``since``. ContractBroken: an entry is not what was sealed.
    """
    sealed = Sealed.read(connection, tenant)
    size = len(sealed.leaves)
    if not size or since > size:
        raise NotFound(f"the record has {size} sealed entries", "seal it: 'loopline audit seal'; or ask for less")
    tree = Tree(sealed.leaves)
    head = {"checkpoint": sealed.checkpoints[-1].note, "size": size}
    grown = {"since": since, "consistency": _texts(tree.consistency(since, size))} if since else {}
    yield json.dumps(head | grown)
    for seq, number, body in _held(connection, sealed):
        if wanted.takes(shown(body)):
            yield _line(seq, number, body, tree, size)


def proof(connection: Connection, audit_id: int, tenant: str = DEFAULT) -> tuple[str, str]:
    """Return two lines of an export: the newest checkpoint, and one entry with its proof.

    Raises:
        NotFound: there is no such entry, or it is not sealed.
    """
    sealed = Sealed.read(connection, tenant)
    if audit_id not in sealed.members:
        raise NotFound(f"entry {audit_id} is not sealed", "see 'loopline audit list'; seal it by 'loopline audit seal'")
    seq, size = sealed.members.index(audit_id), len(sealed.leaves)
    head = json.dumps({"checkpoint": sealed.checkpoints[-1].note, "size": size})
    one = Sealed([audit_id], [sealed.leaves[seq]])
    ((_, number, body),) = _held(connection, one)
    return head, _line(seq, number, body, Tree(sealed.leaves), size)


def ocsf(connection: Connection, wanted: Wanted, tenant: str = DEFAULT) -> Iterator[str]:
    """Yield sealed entries as events of OCSF's class "API Activity" (6003), a line of JSON each."""
    for seq, entry in _wanted(connection, wanted, tenant):
        yield json.dumps(event(entry, seq))


def cef(connection: Connection, wanted: Wanted, tenant: str = DEFAULT) -> Iterator[str]:
    """Yield sealed entries as lines of CEF."""
    for seq, entry in _wanted(connection, wanted, tenant):
        yield line(entry, seq)


def event(entry: AuditEntry, seq: int) -> dict[str, Any]:
    """Return an entry as OCSF 1.3 has it; what OCSF has no place for is ``unmapped``."""
    activity = _ACTIVITY.get(entry.what.rpartition(".")[2], _OTHER)
    denied = entry.outcome == "denied"
    resource = {"name": entry.about, "version": entry.version}
    actor: dict[str, Any] = {"user": {"name": entry.who}}
    if entry.on_behalf_of:
        actor["session"] = {"issuer": entry.on_behalf_of}
    return {
        "class_uid": _API_ACTIVITY,
        "category_uid": _APPLICATION_ACTIVITY,
        "activity_id": activity,
        "type_uid": _API_ACTIVITY * 100 + activity,
        "severity_id": 3 if denied else 1,
        "status_id": 2 if denied else 1,
        "time": int(datetime.fromisoformat(entry.recorded_at).timestamp() * 1000),
        "message": entry.reason,
        "actor": actor,
        "api": {"operation": entry.what},
        "src_endpoint": {"name": entry.source},
        "resources": [{name: value for name, value in resource.items() if value}],
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "Loopline", "vendor_name": "Loopline", "version": release()},
            "uid": f"{entry.tenant}/{seq}",
            "correlation_uid": entry.trace,
        },
        "unmapped": {name: value for name, value in asdict(entry).items() if value},
    }


def _wanted(connection: Connection, wanted: Wanted, tenant: str) -> Iterator[tuple[int, AuditEntry]]:
    sealed = Sealed.read(connection, tenant)
    for seq, _, body in _held(connection, sealed):
        entry = shown(body)
        if wanted.takes(entry):
            yield seq, entry


def _held(connection: Connection, sealed: Sealed) -> Iterator[tuple[int, int, str]]:
    """Yield places, numbers and bodies of sealed entries, but for those that retention let go.

    Raises:
        ContractBroken: one is not what was sealed: it is not handed out as if it were.
    """
    kept = [seq for seq, number in enumerate(sealed.members) if number not in sealed.removed]
    numbers = [sealed.members[seq] for seq in kept]
    for seq, (number, body) in zip(kept, bodies(connection, numbers), strict=True):
        if leaf(body) != sealed.leaves[seq]:
            raise ContractBroken(f"entry {number} is not what was sealed", "see 'loopline audit verify'")
        yield seq, number, body


def _line(seq: int, number: int, body: str, tree: Tree, size: int) -> str:
    return json.dumps({"seq": seq, "audit_id": number, "entry": body, "proof": _texts(tree.inclusion(seq, size))})


def _texts(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]
