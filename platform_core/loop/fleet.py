"""Fleet queries: what is live of every model, one query each however many models there are.

A list of a thousand models is wanted in a fraction of a second, so rows come as plain tuples.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ScalarSelect, func, select

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments.deployments import CHANGED
from loopline.platform_core.loop.freezes import FROZEN, THAWED
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts.quality_entries import REALISED

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

WINDOW = "drift.window"
"""Kind of entries that say how a version does; ``monitor.drift.drift`` writes them."""
_entry = tables.entries.c
_deployed = tables.deployments.c
_cycle = tables.cycles.c


class Live(NamedTuple):
    """One model's live version: since when it is the stable one, and the newest that is known of how it does."""

    team: str
    model: str
    version: str
    cycle: str
    since: datetime | None
    drift: str | None
    drift_at: datetime | None
    quality: dict[str, Any] | None
    quality_at: datetime | None


class LastCycle(NamedTuple):
    """A model's newest cycle."""

    team: str
    model: str
    state: str
    opened_at: datetime


def live(ledger: Ledger) -> dict[ModelRef, Live]:
    """Return every model that has a live version; ``drift`` is the reason of the newest window's entry."""
    came, window, realised = (tables.entries.alias(name) for name in ("came", "window", "realised"))
    stable = _deployed.stable
    query = (
        select(
            *(_deployed.team, _deployed.model, stable["version"].as_string(), stable["cycle"].as_string(), came.c.at),
            *(window.c.reason, window.c.at, realised.c.details, realised.c.at),
        )
        .select_from(tables.deployments)
        .outerjoin(came, came.c.entry_id == newest_about(CHANGED))
        .outerjoin(window, window.c.entry_id == newest_about(WINDOW))
        .outerjoin(realised, realised.c.entry_id == newest_about(REALISED))
        .where(stable["version"].as_string().is_not(None))
    )
    with ledger.reading() as connection:
        return {ModelRef(row[0], row[1]): Live(*row) for row in connection.execute(query)}


def freezes(ledger: Ledger) -> dict[ModelRef, Entry]:
    """Return what is frozen now, by whose entry; ``freezes.EVERYTHING`` stands for all models."""
    last = (
        select(func.max(_entry.entry_id)).where(_entry.kind.in_((FROZEN, THAWED))).group_by(_entry.team, _entry.model)
    )
    found = ledger.selected(select(tables.entries).where(_entry.entry_id.in_(last), _entry.kind == FROZEN))
    return {ModelRef(entry.team, entry.model): entry for entry in found}


def last_cycles(ledger: Ledger) -> dict[ModelRef, LastCycle]:
    """Return each model's newest cycle."""
    last = select(func.max(_cycle.entry_id)).group_by(_cycle.team, _cycle.model)
    query = select(_cycle.team, _cycle.model, _cycle.state, _cycle.opened_at).where(_cycle.entry_id.in_(last))
    with ledger.reading() as connection:
        return {ModelRef(row[0], row[1]): LastCycle(*row) for row in connection.execute(query)}


def newest_about(kind: str) -> ScalarSelect[Any]:
    """Select the newest entry of a kind about a deployment's stable version, by one look into the index a model.

    The change by which a version became stable is the last that is written about it while it is the stable one:
    those of a rollout that follows are about its candidate.
    """
    same = (_entry.team == _deployed.team, _entry.model == _deployed.model, _entry.kind == kind)
    version = _entry.version == _deployed.stable["version"].as_string()
    return select(func.max(_entry.entry_id)).where(*same, version).correlate(tables.deployments).scalar_subquery()
