"""Newest ledger entries about every live version, one query a kind; for metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Text, cast, select

from loopline.platform_core.loop.deployments.deployments import CHANGED
from loopline.platform_core.loop.fleet import newest_about
from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

_entry, _deployed = tables.entries.c, tables.deployments.c


@dataclass(frozen=True)
class NewestEntry:
    """The newest entry of a kind about a model's live version."""

    team: str
    model: str
    version: str
    at: datetime
    details: dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """A model's live version and its cycle, since when, and how many changes its endpoint was not asked for."""

    team: str
    model: str
    version: str | None
    cycle: str | None
    since: datetime | None
    lag: int


def newest_entries(ledger: Ledger, kind: str) -> list[NewestEntry]:
    """Return the newest entry of a kind about each live version."""
    picked = select(newest_about(kind).label("entry_id")).select_from(tables.deployments).subquery()
    columns = (_entry.team, _entry.model, _entry.version, _entry.at, cast(_entry.details, Text))
    with ledger.reading() as connection:
        rows = connection.execute(select(*columns).join(picked, _entry.entry_id == picked.c.entry_id))
        return [
            NewestEntry(team, model, version, at, msgspec.json.decode(said)) for team, model, version, at, said in rows
        ]


def deployed(ledger: Ledger) -> Iterator[Deployed]:
    """Yield every deployment."""
    stable = _deployed.stable
    named = (_deployed.team, _deployed.model, stable["version"].as_string(), stable["cycle"].as_string())
    query = select(*named, _entry.at, _deployed.generation - _deployed.applied)
    joined = query.select_from(tables.deployments).outerjoin(tables.entries, _entry.entry_id == newest_about(CHANGED))
    with ledger.reading() as connection:
        rows = connection.execute(joined).all()
    yield from (Deployed(*row) for row in rows)
