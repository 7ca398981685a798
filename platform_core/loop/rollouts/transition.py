"""Transition of a rollout: applies a decision to rollout, deployment, cycle and ledger in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.deployments import Deployment
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append
from loopline.platform_core.loop.rollouts import experiments
from loopline.platform_core.loop.rollouts.rollout_table import (
    BEFORE_FIRST,
    WATCHING,
    RolloutRecord,
    column,
    of,
    record_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.loop.rollouts.decisions import Decision

WATCHED = "rollout.watched"
"""The watch of a promotion is over, and the promotion stays."""


def take(ledger: Ledger, record: RolloutRecord, decision: Decision, now: datetime, actor: str = "platform") -> bool:
    """Make a transition, if nobody made one since the record was read; says whether it did."""
    here = (column.rollout_id == record.rollout_id) & (column.step == record.step) & (column.state == record.state)
    kind, values = _next(record, decision, now)
    with ledger.writing(record.ref) as connection:
        if not connection.execute(update(tables.rollouts).where(here).values(values)).rowcount:
            return False
        append(connection, entry_of(record, kind, decision.reason, decision.figures, now, actor))
        if decision.action in {"promote", "roll_back"}:
            experiments.close_with(connection, record, decision.reason, actor, now)
        if decision.action in {"shadow", "advance", "promote"}:
            _end_watch(connection, record, now)
        why = entry_of(record, deployments.CHANGED, decision.reason, {"rollout": record.rollout_id}, now, actor)
        _deploy(connection, record, decision, why)
        _judge_cycle(connection, record, decision, now)
    return True


def _judge_cycle(connection: Connection, record: RolloutRecord, decision: Decision, now: datetime) -> None:
    if decision.action == "promote":
        cycles.settle(connection, record.cycle, "promoted", decision.reason, now)
    elif decision.action == "roll_back" and record.state == WATCHING:
        cycles.overturn(connection, record.cycle, decision.reason, now)
    elif decision.action == "roll_back":
        cycles.settle(connection, record.cycle, "rolled_back", decision.reason, now)


def _end_watch(connection: Connection, record: RolloutRecord, now: datetime) -> None:
    """End the watch of the model's last promotion, because another rollout takes a step that overwrites its shadow."""
    here = of(record.ref) & (column.state == WATCHING) & (column.rollout_id != record.rollout_id)
    for row in connection.execute(select(tables.rollouts).where(here)).mappings().all():
        before = record_of(row)
        connection.execute(update(tables.rollouts).where(here).values(state="promoted"))
        append(connection, entry_of(before, WATCHED, f"the rollout of version {record.version} begins", {}, now))


def _next(record: RolloutRecord, decision: Decision, now: datetime) -> tuple[str, dict[str, Any]]:
    cursor = decision.cursor or record.cursor
    if decision.action in {"advance", "shadow"}:
        first = record.first_cursor or cursor
        following = BEFORE_FIRST if decision.action == "shadow" else max(record.step + 1, 0)
        moved = {"step": following, "percent": decision.percent, "step_started_at": now}
        kind = "rollout.shadowed" if decision.action == "shadow" else "rollout.advanced"
        return kind, moved | {"cursor": cursor, "first_cursor": first}
    if decision.action == "end_watch":
        return WATCHED, {"state": "promoted"}
    ended = {"percent": decision.percent, "cursor": cursor}
    if decision.action == "roll_back":
        return "rollout.rolled_back", ended | {"state": "rolled_back"}
    if decision.watched:
        return "rollout.promoted", ended | {
            "state": WATCHING,
            "step": max(record.step, BEFORE_FIRST) + 1,
            "step_started_at": now,
        }
    return "rollout.promoted", ended | {"state": "promoted"}


def _deploy(connection: Connection, record: RolloutRecord, decision: Decision, why: Entry) -> None:
    live = deployments.read(connection, record.ref)
    if record.state == WATCHING:
        _after_watch(connection, record, decision, why)
        return
    if decision.action == "promote":
        before = live.stable if live and decision.watched else None
        wanted = Deployment(record.ref, 0, record.served, None, 0, shadow=before)
    elif live is None:
        return  # rolled back before anything was live
    elif decision.action == "shadow":
        wanted = Deployment(record.ref, 0, live.stable, None, 0, shadow=record.served)
    elif decision.action == "advance":
        wanted = Deployment(record.ref, 0, live.stable, record.served, decision.percent)
    else:  # one that took no step yet leaves the watch of the promotion before as it is
        other = live.shadow if live.shadow and live.shadow.version != record.version else None
        wanted = Deployment(record.ref, 0, live.stable, None, 0, shadow=other)
    deployments.write(connection, wanted, why)


def _after_watch(connection: Connection, record: RolloutRecord, decision: Decision, why: Entry) -> None:
    """Let the shadow go, or answer in the place of what was promoted; an endpoint that was changed is left as it is."""
    live = deployments.read(connection, record.ref)
    if live is None or not live.watches(record.version):
        return
    stable = live.shadow if decision.action == "roll_back" else live.stable
    details = {**why.details, **({"back": True} if decision.action == "roll_back" else {})}
    deployments.write(connection, Deployment(record.ref, 0, stable, None, 0), replace(why, details=details))


def entry_of(  # noqa: PLR0913, PLR0917 - an entry's own fields
    record: RolloutRecord, kind: str, reason: str, figures: Mapping[str, Any], now: datetime, actor: str = "platform"
) -> Entry:
    """Return what the ledger says of a rollout."""
    details = {"rollout": record.rollout_id, "step": record.step, **figures}
    return Entry(kind, now, *record.ref, record.cycle, record.version, actor, reason, details)
