"""Latest result of each watchdog check, stored for metrics, the portal and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.sites.heartbeats import now_at

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger

_table = tables.watchdog_looks


class Seen(NamedTuple):
    """When a look ended, by the database's clock, and what it found, as JSON ("" for nothing)."""

    at: datetime
    found: str


def note(ledger: Ledger, look: str, found: str = "") -> None:
    """Write what a look has just found in place of what it found before."""
    ledger.upsert(_table, {"look": look}, {"at": now_at(ledger), "found": found})


def seen(ledger: Ledger, look: str) -> Seen | None:
    """Return what a look found last; None where it was never done."""
    with ledger.reading() as connection:
        row = connection.execute(select(_table.c.at, _table.c.found).where(_table.c.look == look)).one_or_none()
    return Seen(*row) if row else None
