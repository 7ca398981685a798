"""Audit entry: its fields, and the bytes that are sealed as a leaf of the Merkle tree."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from loopline.platform_core.audit.merkle import leaf_hash
from loopline.platform_core.audit.origin import Origin
from loopline.platform_core.errors import ContractBroken, one_line

DEFAULT = "default"
"""The tenant of an installation that has one."""
UNREADABLE = "audit.unreadable"
"""What an entry tells that is none."""
_LONG_AGO = "1970-01-01T00:00:00.000000+00:00"


@dataclass(frozen=True)
class AuditEntry:
    """Who did what, on whose behalf, on which version, by which policy, from where, and in which trace.

    ``what`` is ``noun.verb``. ``at`` is the platform's clock, ``recorded_at`` the wall's, both ISO 8601 in UTC.
    ``outcome`` is ``done`` or ``denied``. ``subject`` is what is no model, such as a table or a tenant. ``entry_id`` is
    the ledger's entry of it, and ``ledger`` the SHA-256 of that row; None and "" where there is none. ``signed`` is the
    note by which entries are let go, "" for all others.
    """

    what: str
    who: str
    at: str
    recorded_at: str = ""
    on_behalf_of: str = ""
    team: str = ""
    model: str = ""
    cycle: str = ""
    version: str = ""
    subject: str = ""
    policy: str = ""
    source: str = ""
    trace: str = ""
    outcome: str = "done"
    reason: str = ""
    entry_id: int | None = None
    ledger: str = ""
    tenant: str = DEFAULT
    signed: str = ""

    @property
    def about(self) -> str:
        """Return the team's model that it is about, or what else."""
        return "/".join(filter(None, (self.team, self.model))) or self.subject

    def body(self) -> str:
        """Return what is sealed: JSON in ASCII with sorted keys, without what is empty."""
        told = {name: value for name in _NAMES if (value := getattr(self, name)) not in {"", None}}
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    def since(self, origin: Origin) -> AuditEntry:
        """Return the entry with what its way in said, where it does not say so itself."""
        said = {name: getattr(self, name) or getattr(origin, name) for name in ("source", "on_behalf_of", "policy")}
        return replace(self, **said)


_NAMES = tuple(field.name for field in fields(AuditEntry))


def parsed(body: str) -> AuditEntry:
    """Read an entry back; fields that a newer Loopline wrote are passed over.

    Raises:
        ContractBroken: it is no entry.
    """
    try:
        return msgspec.convert({"what": "", "who": "", "at": ""} | _fields(body), AuditEntry)
    except (ValueError, RecursionError) as error:
        problem = f"an entry of the record is none: {one_line(error)}"
        raise ContractBroken(problem, "see who may write to the ledger's database") from error


def _fields(body: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        told = msgspec.convert(json.loads(body), dict[str, Any])
    # a path or an argument that is no text was written with halves of characters
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in told.items()
    }


def shown(body: str) -> AuditEntry:
    """Read an entry for people: what is none, which may be appended by SQL, says so and hides no other."""
    with suppress(ContractBroken, ValueError):
        entry = parsed(body)
        if datetime.fromisoformat(entry.recorded_at).tzinfo is not None:
            return entry
    return AuditEntry(UNREADABLE, "", _LONG_AGO, _LONG_AGO, reason="what stands there is no entry of the platform's")


def what_of(body: str) -> str | None:
    """Return what an entry tells; None for what is no entry of ours."""
    try:
        return parsed(body).what
    except ContractBroken:
        return None


def sealed(body: str) -> bytes:
    """Return an entry's leaf in the tree."""
    return leaf_hash(body.encode("utf-8", "surrogatepass"))


def instant(at: datetime) -> str:
    """Write an instant as entries do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
