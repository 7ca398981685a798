"""Audit entries of ledger entries, and the comparison of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Text, cast, func, select, type_coerce

from loopline.platform_core.audit import recording
from loopline.platform_core.audit.entry import DEFAULT, AuditEntry, instant
from loopline.platform_core.audit.findings import Finding
from loopline.platform_core.audit.tables import audit_entries, audit_removed
from loopline.platform_core.loop.ledger import database, tables

_FIELDS = ("kind", "at", "recorded_at", "team", "model", "cycle", "version", "actor", "reason")
_ledger, _entry, _gone = tables.entries.c, audit_entries.c, audit_removed.c
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_PAGE = 10_000


def record(connection: Connection, entry_id: int, values: dict[str, Any]) -> None:
    """Record a row of ``entries`` that was just written, in its transaction."""
    row = [entry_id, *(values[name] for name in _FIELDS), database.dumps(values["details"]), values["unique_key"]]
    told = {name: values[name] for name in ("team", "model", "cycle", "version", "reason")}
    entry = AuditEntry(
        values["kind"], values["actor"], instant(values["at"]), entry_id=entry_id, ledger=_digest(row), **told
    )
    recording.record(connection, entry, values["recorded_at"])


def held(connection: Connection, tenant: str = DEFAULT) -> tuple[int, list[Finding]]:
    """Hold the ledger against the record; return how many entries were compared, and what is wrong with them.

    What was written before there was a record is not looked at, nor what retention is said to have let go of: whether
    it is so, ``audit.verifying`` says.
    """
    findings, count, before = [], 0, None
    for row in _rows(connection, _began(connection, tenant), tenant):
        count += row.entry_id != before
        if row.body is None:
            findings.append(_finding("inserted", row.entry_id, None, "is not in the record"))
        elif row.entry_id == before:
            findings.append(_finding("inserted", row.entry_id, row.audit_id, "is twice in the record"))
        elif not _tells(row.body, row):
            findings.append(_finding("changed", row.entry_id, row.audit_id, "is not what was recorded"))
        before = row.entry_id
    there = select(_ledger.entry_id).where(_ledger.entry_id == _entry.entry_id).exists()
    gone = select(_entry.entry_id, _entry.audit_id).where(_entry.tenant == tenant, _entry.entry_id.is_not(None), ~there)
    for entry_id, audit_id in connection.execute(gone.order_by(_entry.entry_id)):
        findings.append(_finding("removed", entry_id, audit_id, "is gone"))
    return count, findings


def _began(connection: Connection, tenant: str) -> int | None:
    """Return the first entry of the ledger that the record knows."""
    mine = (_entry.tenant == tenant, _entry.entry_id.is_not(None))
    first = connection.scalar(select(func.min(_entry.entry_id)).where(*mine))
    gone = connection.scalar(select(func.min(_gone.entry_id)).where(_gone.tenant == tenant))
    return min((one for one in (first, gone) if one is not None), default=None)


def _rows(connection: Connection, first: int | None, tenant: str) -> Iterator[Any]:
    """Read the ledger's entries, with their details as the database holds them, each beside what the record has."""
    if first is None:
        return
    is_text = connection.dialect.name == "sqlite"  # where instants are text as entries write them
    columns = [type_coerce(_ledger[name], Text) if is_text else _ledger[name] for name in _FIELDS]
    query = select(
        _ledger.entry_id, *columns, cast(_ledger.details, Text), _ledger.unique_key, _entry.audit_id, _entry.body
    )
    beside = (_entry.entry_id == _ledger.entry_id) & (_entry.tenant == tenant)
    joined = query.select_from(tables.entries.outerjoin(audit_entries, beside)).where(_ledger.entry_id >= first)
    let_go = select(_gone.entry_id).where(_gone.entry_id == _ledger.entry_id, _gone.tenant == tenant).exists()
    joined = joined.where(_entry.body.is_not(None) | ~let_go)
    ordered = joined.order_by(_ledger.entry_id, _entry.audit_id)
    yield from connection.execution_options(yield_per=_PAGE).execute(ordered)


def _digest(row: Any) -> str:
    """Return the hash of a whole row of the ledger; instants are written as entries write them."""
    plain = [instant(value) if isinstance(value, datetime) else value for value in row]
    return hashlib.sha256(_ENCODER.encode(plain).encode()).hexdigest()


def _tells(body: str, row: Any) -> bool:
    """Say whether an entry of the record tells of this row: by its hash, and by the words that people read."""
    try:
        said = msgspec.json.decode(body, type=_Said)
    except msgspec.MsgspecError:
        return False
    read = said.who, said.what, said.team, said.model, said.cycle, said.version, said.reason
    known = row.actor, row.kind, row.team, row.model, row.cycle, row.version, row.reason
    return read == known and said.ledger == _digest(row[:-2])


class _Said(msgspec.Struct):
    ledger: str = ""
    who: str = ""
    what: str = ""
    team: str = ""
    model: str = ""
    cycle: str = ""
    version: str = ""
    reason: str = ""


def _finding(kind: Any, entry_id: int, audit_id: int | None, what: str) -> Finding:
    return Finding(kind, f"the ledger's entry {entry_id} {what}", None, audit_id, entry_id)
