"""Appends audit entries, in the same transaction as the change that they record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert

from loopline.platform_core.audit import origin
from loopline.platform_core.audit.entry import AuditEntry, instant
from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.clock import micros
from loopline.platform_core.foundation.trace_ids import of_cycle

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

_NUMBER = audit_entries.c.audit_id


def record(connection: Connection, entry: AuditEntry, now: datetime | None = None) -> int:
    """Append an entry and return its number: it is there when the transaction is, and not otherwise."""
    now = now or datetime.now(UTC)
    told = replace(entry.since(origin.current()), recorded_at=instant(now), trace=entry.trace or _trace(entry.cycle))
    values = {"tenant": told.tenant, "entry_id": told.entry_id, "recorded_us": micros(now), "body": told.body()}
    return int(connection.execute(insert(audit_entries).values(values).returning(_NUMBER)).scalar_one())


def note(ledger: Ledger, what: str, who: str, **told: str) -> None:
    """Record what the ledger has no entry of, such as an export; ``told`` are fields of ``AuditEntry``."""
    with ledger.writing() as connection:
        record(connection, AuditEntry(what, who, instant(datetime.now(UTC)), **told))  # type: ignore[arg-type]


def _trace(cycle: str) -> str:
    """Return the trace's id: of the span that runs, else the one that follows from the cycle."""
    carried = tracing.trace_details().get(tracing.TRACE) or (of_cycle(cycle) if cycle else "")
    return carried[3:35]
