"""Heartbeats of sites: when each last reported, and how many predictions wait at it.

A site tells it by itself, each time that it looks at its endpoints. One that is cut off tells nothing, and so the row
grows old, which is how it shows. Times are the wall's, for it is people who wait, and by the clock of the ledger's
database: a site's own may be ahead, and is asked for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform

OFTEN = timedelta(seconds=10)
"""A site does not tell the same more often."""
SILENT = timedelta(minutes=2)
"""Not heard of for longer, a site is cut off, or nothing of ours runs there."""
_NOW = {
    "postgresql": func.clock_timestamp(type_=tables.UtcTime()),
    "sqlite": func.strftime("%Y-%m-%dT%H:%M:%fZ", "now", type_=tables.UtcTime()),
}
_column = tables.site_looks.c


@dataclass(frozen=True)
class Presence:
    """What a site told last of a model.

    ``waiting`` are answered rows that were not in the site's lake yet; ``until`` is the newest event that is.
    """

    ref: ModelRef
    site: str
    seen_at: datetime
    waiting: int = 0
    until: datetime | None = None

    def silent(self, now: datetime) -> bool:
        """Say whether it is too long ago."""
        return now - self.seen_at > SILENT


def looked(platform: Platform, waiting: Iterable[tuple[ModelRef, int]]) -> None:
    """Tell that a site is there, with the rows that wait for each model; nothing where this is the control plane."""
    if not platform.environment.site:
        return
    known, now = {one.ref: one for one in told(platform.ledger)}, now_at(platform.ledger)
    for ref, rows in waiting:
        before = known.get(ref)
        if before is None or before.waiting != rows or abs(now - before.seen_at) >= OFTEN:
            _write(platform, ref, {"seen_at": now, "waiting": rows})


def brought(platform: Platform, ref: ModelRef, rows: int, until: datetime | None) -> None:
    """Tell that rows have come into a site's lake; where the control plane is away, the next look says it."""
    if not platform.environment.site or not rows:
        return
    with suppress(StoreUnavailable):
        before = next((one for one in told(platform.ledger) if one.ref == ref), None)
        newest = max((each for each in (until, before and before.until) if each), default=None)
        _write(platform, ref, {"seen_at": now_at(platform.ledger), "waiting": 0, "until": newest})


def told(ledger: Ledger) -> list[Presence]:
    """Return what every site told last, by site and model."""
    query = select(tables.site_looks).order_by(_column.site, _column.team, _column.model)
    with ledger.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        Presence(ModelRef(row["team"], row["model"]), row["site"], row["seen_at"], row["waiting"], row["until"])
        for row in rows
    ]


def now_at(ledger: Ledger) -> datetime:
    """Return the time by the clock of the ledger's database, by which every site is seen."""
    with ledger.reading() as connection:
        return connection.execute(select(_NOW[connection.dialect.name])).scalar_one()


def _write(platform: Platform, ref: ModelRef, values: dict[str, Any]) -> None:
    """Update a model's row, or insert it."""
    told_here = values | {"site": platform.environment.site}
    platform.ledger.upsert(tables.site_looks, ref._asdict(), told_here, waiting=0, until=None)
