"""What is live everywhere: reads over all models at once, one query each however many models there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, ScalarSelect, func, select, union

from platform_core.loop import tables
from platform_core.loop.cycles import Cycle, from_row
from platform_core.loop.deployments import CHANGED, Deployment
from platform_core.loop.deployments import from_row as deployment_of
from platform_core.loop.freezes import FROZEN, THAWED
from platform_core.loop.ledger import Entry
from platform_core.names import ModelRef

if TYPE_CHECKING:
    from datetime import datetime

    from platform_core.loop.ledger import Ledger

_entry = tables.entries.c
_deployed = tables.deployments.c
_cycle = tables.cycles.c
_PLAIN = ("kind", "at", "team", "model", "cycle", "version", "actor", "reason", "entry_id", "recorded_at")


@dataclass(frozen=True)
class Live:
    """What one model's endpoint should be, and since when its stable version is the stable one."""

    deployment: Deployment
    since: datetime | None


def live(ledger: Ledger) -> dict[ModelRef, Live]:
    """Return every deployment by model."""
    query = select(tables.deployments, _entry.at).outerjoin(tables.entries, _entry.entry_id == _newest(CHANGED))
    with ledger.reading() as connection:
        rows = connection.execute(query).mappings().all()
    found = [Live(deployment_of(row), row["at"]) for row in rows]
    return {one.deployment.ref: one for one in found}


def of_live(ledger: Ledger, kinds: Sequence[str], *, details: bool = True) -> dict[tuple[ModelRef, str], Entry]:
    """Return the newest entry of each kind about each model's live version; large details may be left out."""
    picked = union(
        *[select(_newest(kind).label("entry_id")).select_from(tables.deployments) for kind in kinds]
    ).subquery()
    columns = [_entry[name] for name in (*_PLAIN, *(["details"] if details else []))]
    query = select(*columns).join(picked, _entry.entry_id == picked.c.entry_id)
    with ledger.reading() as connection:
        found = [_told(row) for row in connection.execute(query).mappings()]
    return {(ModelRef(entry.team, entry.model), entry.kind): entry for entry in found}


def freezes(ledger: Ledger) -> dict[ModelRef, Entry]:
    """Return what is frozen now, by whose entry; ``freezes.EVERYTHING`` stands for all models."""
    last = (
        select(func.max(_entry.entry_id)).where(_entry.kind.in_((FROZEN, THAWED))).group_by(_entry.team, _entry.model)
    )
    query = select(*[_entry[name] for name in _PLAIN]).where(_entry.entry_id.in_(last), _entry.kind == FROZEN)
    with ledger.reading() as connection:
        found = [_told(row) for row in connection.execute(query).mappings()]
    return {ModelRef(entry.team, entry.model): entry for entry in found}


def newest_cycles(ledger: Ledger) -> dict[ModelRef, Cycle]:
    """Return each model's newest cycle."""
    last = select(func.max(_cycle.entry_id)).group_by(_cycle.team, _cycle.model)
    query = select(tables.cycles).where(_cycle.entry_id.in_(last))
    with ledger.reading() as connection:
        found = [from_row(row) for row in connection.execute(query).mappings()]
    return {cycle.ref: cycle for cycle in found}


def _newest(kind: str) -> ScalarSelect[Any]:
    """Select the newest entry of a kind about a deployment's stable version, by one look into the index a model.

    The change by which a version became stable is the last that is written about it while it is the stable one:
    those of a rollout that follows are about its candidate.
    """
    same = (_entry.team == _deployed.team, _entry.model == _deployed.model, _entry.kind == kind)
    version = _entry.version == _deployed.stable["version"].as_string()
    return select(func.max(_entry.entry_id)).where(*same, version).correlate(tables.deployments).scalar_subquery()


def _told(row: RowMapping) -> Entry:
    return Entry(**{str(name): value for name, value in row.items()})
