"""Prometheus metrics of the loop: cycles, gates, rollouts, and live versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from loopline.platform_core.loop.cycles.cycles import CLOSED
from loopline.platform_core.loop.cycles.gates import JUDGED, OVERRIDDEN
from loopline.platform_core.loop.fleet import freezes
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE, WATCHING
from loopline.platform_core.observability.families import Family, seconds
from loopline.platform_core.observability.newest import deployed

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger

_entry, _cycle, _rollout = tables.entries.c, tables.cycles.c, tables.rollouts.c
MODEL = ("team", "model")
ENDS = ("promoted", "rejected", "rolled_back", "failed")


def loop_metrics(ledger: Ledger, now: datetime) -> Iterator[Family]:
    """Yield every family of the loop, at an instant of the platform's clock."""
    with ledger.reading() as connection:
        yield from _cycles(connection, now)
        yield from _gates(connection)
        yield from _rollouts(connection, now)
    yield from _live(ledger, now)
    yield _frozen(ledger)


def _cycles(connection: Connection, now: datetime) -> Iterator[Family]:
    opened = Family("loopline_cycles_opened_total", "counter", "Cycles that were opened.", MODEL)
    by_model = select(_cycle.team, _cycle.model, func.count()).group_by(_cycle.team, _cycle.model)
    for team, model, count in connection.execute(by_model):
        opened.add(count, team, model)
    ended = Family("loopline_cycles_closed_total", "counter", "Cycles that ended, by their verdict.", (*MODEL, "state"))
    state = _entry.details["state"].as_string().label("state")
    closed = select(_entry.team, _entry.model, state, func.count()).where(_entry.kind == CLOSED)
    for team, model, verdict, count in connection.execute(closed.group_by(_entry.team, _entry.model, state)):
        ended.add(count, team, model, verdict)
    models = [labels for _, labels in opened.samples]
    ended.begin_at_zero((*labels, verdict) for labels in models for verdict in ENDS)
    age = Family("loopline_cycle_open_age_seconds", "gauge", "Age of the cycle that is open.", MODEL)
    still = select(_cycle.team, _cycle.model, _cycle.opened_at).where(_cycle.state == "open")
    for team, model, since in connection.execute(still):
        age.add(seconds(since, now), team, model)
    yield from (opened, ended, age)


def _gates(connection: Connection) -> Iterator[Family]:
    verdicts = Family("loopline_gate_verdicts_total", "counter", "Verdicts of gates on versions.", (*MODEL, "passed"))
    passed = _entry.details["passed"].as_boolean().label("passed")
    judged = select(_entry.team, _entry.model, passed, func.count()).where(_entry.kind == JUDGED)
    for team, model, well, count in connection.execute(judged.group_by(_entry.team, _entry.model, passed)):
        verdicts.add(count, team, model, "true" if well else "false")
    overrides = Family("loopline_gate_overrides_total", "counter", "Gates that a person overrode.", MODEL)
    by_hand = select(_entry.team, _entry.model, func.count()).where(_entry.kind == OVERRIDDEN)
    for team, model, count in connection.execute(by_hand.group_by(_entry.team, _entry.model)):
        overrides.add(count, team, model)
    yield from (verdicts, overrides)


def _rollouts(connection: Connection, now: datetime) -> Iterator[Family]:
    started = Family("loopline_rollouts_started_total", "counter", "Rollouts that were started.", MODEL)
    ended = Family("loopline_rollouts_ended_total", "counter", "Rollouts by how they ended.", (*MODEL, "state"))
    counts: dict[tuple[str, str], int] = {}
    counted = select(_rollout.team, _rollout.model, _rollout.state, func.count())
    for team, model, state, count in connection.execute(
        counted.group_by(_rollout.team, _rollout.model, _rollout.state)
    ):
        counts[team, model] = counts.get((team, model), 0) + count
        if state not in {*ACTIVE, WATCHING}:
            ended.add(count, team, model, state)
    for (team, model), count in counts.items():
        started.add(count, team, model)
    ended.begin_at_zero((*labels, state) for labels in counts for state in ("promoted", "rolled_back"))
    yield from (started, ended, *_under_way(connection, now))


def _under_way(connection: Connection, now: datetime) -> Iterator[Family]:
    version = (*MODEL, "version")
    age = Family("loopline_rollout_age_seconds", "gauge", "Age of the rollout under way.", version)
    step = Family("loopline_rollout_step_age_seconds", "gauge", "How long its present step bakes.", version)
    share = Family("loopline_rollout_candidate_ratio", "gauge", "Share of traffic that the candidate gets.", version)
    held = Family("loopline_rollout_held", "gauge", "1 while a person holds the rollout.", version)
    for row in connection.execute(select(tables.rollouts).where(_rollout.state.in_(ACTIVE))).mappings():
        labels = (row["team"], row["model"], row["version"])
        age.add(seconds(row["started_at"], now), *labels)
        step.add(seconds(row["step_started_at"], now), *labels)
        share.add(row["percent"] / 100, *labels)
        held.add(row["state"] == "held", *labels)
    yield from (age, step, share, held)


def _live(ledger: Ledger, now: datetime) -> Iterator[Family]:
    info = Family(
        "loopline_model_info", "gauge", "The version that answers, and its cycle.", (*MODEL, "version", "cycle")
    )
    age = Family("loopline_model_live_age_seconds", "gauge", "Since when that version answers.", MODEL)
    lag = Family("loopline_deployment_lag_generations", "gauge", "Changes that the endpoint was not asked for.", MODEL)
    for one in deployed(ledger):
        if one.version is not None:
            info.add(1, one.team, one.model, one.version, one.cycle)
        age.add(seconds(one.since, now), one.team, one.model)
        lag.add(one.lag, one.team, one.model)
    yield from (info, age, lag)


def _frozen(ledger: Ledger) -> Family:
    found = Family("loopline_frozen", "gauge", "1 for what a person froze; without labels: everything.", MODEL)
    for team, model in freezes(ledger):
        found.add(1, team, model)
    return found
