"""Reads the ledger for the scorecard, in one pass of few columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments, watching
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.rollouts import skews
from loopline.scorecard.facts import Event, Facts
from loopline.scorecard.following import ADVANCED, PROMOTED, ROLLED_BACK, STARTED, Following, follow_skews

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger

_entry = tables.entries.c
_details = _entry.details


def read(ledger: Ledger, since: datetime | None = None) -> Facts:
    """Read what happened since an instant; what began before is known as far as it can be."""
    facts = Facts()
    with ledger.reading() as connection:
        facts.first = _first(connection)
        Following(facts).follow(_rows(connection, _ROLLOUT_KINDS, _ROLLOUT_COLUMNS, since))
        follow_skews(
            facts, _rows(connection, (skews.CHECKED,), (_details["passed"].as_boolean().label("passed"),), since)
        )
        usage = (_details["usage"].label("usage"),)
        facts.trainings = [
            Event(row.team, row.model, row.at.timestamp(), row.usage)
            for row in _rows(connection, (REGISTERED,), usage, since)
        ]
        times = [_details[f"{side}_seconds"].as_float().label(side) for side in ("up", "down")]
        facts.watched = [
            Event(row.team, row.model, row.at.timestamp(), (row.up, row.down))
            for row in _rows(connection, (watching.WATCHED,), times, since)
        ]
    return facts


_ROLLOUT_KINDS = (
    *(cycles.OPENED, cycles.CLOSED, STARTED, ADVANCED, PROMOTED, ROLLED_BACK),
    *(deployments.CHANGED, watching.ARRIVED),
)
_ROLLOUT_COLUMNS = (
    func.substr(_entry.reason, 1, 6).label("reason"),
    _details["rollout"].as_string().label("rollout"),
    _details["state"].as_string().label("state"),
    _details["hours"].as_float().label("hours"),
    _details["changed_at"].as_string().label("changed_at"),
    _details["drill"].as_string().label("drill"),
    _details["back"].as_boolean().label("back"),
    _details["generation"].as_integer().label("generation"),
    _details[("stable", "version")].as_string().label("stable"),
)


def _first(connection: Connection) -> dict[str, float]:
    """Return when each team's first entry was; an index alone says which one that is."""
    firsts = select(func.min(_entry.entry_id)).where(_entry.team != "").group_by(_entry.team)
    query = select(_entry.team, _entry.at).where(_entry.entry_id.in_(firsts))
    return {row.team: row.at.timestamp() for row in connection.execute(query)}


def _rows(
    connection: Connection, kinds: Sequence[str], details: Sequence[ColumnElement[Any]], since: datetime | None
) -> Iterator[Row[Any]]:
    plain = (_entry.kind, _entry.at, _entry.recorded_at, _entry.team, _entry.model, _entry.cycle, _entry.version)
    query = select(*plain, *details).where(_entry.kind.in_(kinds)).order_by(_entry.entry_id)
    if since is not None:
        query = query.where(_entry.at >= since)
    yield from connection.execute(query)
