"""Rollouts: canary steps from a few percent of traffic to all, each judged, with rollback.

A rollout begins at step -1 with 0 percent and takes ``percents`` in order; with a shadow it begins at -2, and is at -1
while its requests are replayed. A promotion may be watched: the version before goes on as a shadow, until the time
is over, harm takes the promotion back, or another rollout takes its first step. Each transition is one transaction that
holds only if the row is still at the step and in the state from which it was decided: two processes that take the
same step take it once, and one that is killed leaves a state from which the next tick goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from loopline.platform_core.contracts.serving import CANARY, SHADOW, SPLIT
from loopline.platform_core.errors import NotFound, Refused, Unsupported
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments import deployments, packages
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append
from loopline.platform_core.loop.rollouts import arrival
from loopline.platform_core.loop.rollouts.decisions import Decision, decide
from loopline.platform_core.loop.rollouts.pauses import HELD, RESUMED
from loopline.platform_core.loop.rollouts.rollout_table import (
    ACTIVE,
    BEFORE_FIRST,
    BEFORE_SHADOW,
    PLAIN,
    WATCHING,
    RolloutRecord,
    State,
    active,
    by_id,
    column,
    due,
    id_of,
    looked_after,
    newest,
    of,
    rollout,
    running,
    watched,
)
from loopline.platform_core.loop.rollouts.transition import entry_of, take

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.model import Model

__all__ = [
    "Decision",
    "RolloutRecord",
    "active",
    "decide",
    "due",
    "end",
    "hold",
    "look",
    "looked_after",
    "newest",
    "resume",
    "rollout",
    "running",
    "start",
    "step",
    "take_back",
    "watched",
]


Admit = Callable[[Connection, ModelRef, str], None]
"""Refuses a version that may not go live; it is asked with the model's lock held."""


def start(  # noqa: PLR0913, PLR0917 - a rollout is of a version, in a cycle, by a model's rule
    platform: Platform,
    ref: ModelRef,
    model: Model,
    version: str,
    cycle: str,
    now: datetime,
    *,
    admit: Admit,
    waits: str = "",
) -> RolloutRecord:
    """Start the rollout of a version that passed its gates, and take its first step; repeated, it is the same one.

    While nothing is live the version is promoted at once. While the model is frozen it waits at 0 percent. ``admit``
    may refuse the version inside the transaction that begins the rollout; ``turn.start_rollout`` hands it in. With a
    reason why it ``waits`` the rollout begins held: nobody meets the version until a person lets it go on.

    Raises:
        Refused: its gates did not pass, it is live already, another rollout runs, ``admit`` refuses it, or the team is
            at another site than this process.
        NotFound: no such version.
        Unsupported: the endpoint has no canary, no shadow where the model wants one, or no pairs for a judge that
            speaks of nothing else.
    """
    platform.environment.refuse_elsewhere(ref.team)
    rollout_id = id_of(cycle, ref, version)
    with platform.ledger.reading() as connection:
        known = by_id(connection, rollout_id)
    if known is None:
        gates.require_passed(platform.ledger, ref, version)
        platform.serving.require(_needs(model), ref.dotted)
        _refuse_silent_judges(platform, ref, model)
        package = packages.fetched(platform, ref, version)
        first = BEFORE_SHADOW if model.rollout.shadow_requests else BEFORE_FIRST
        begins: State = "held" if waits else "running"
        record = RolloutRecord(rollout_id, ref, cycle, version, package, first, 0, now, now, None, begins)
        _insert(platform.ledger, record, admit, waits)
    step(platform, model, rollout_id, now)
    return rollout(platform.ledger, rollout_id)


def step(platform: Platform, model: Model, rollout_id: str, now: datetime) -> Decision:
    """Judge a rollout and do what follows: wait, advance, promote or roll back; repeated, it changes nothing twice.

    Raises:
        NotFound: no such rollout. StoreUnavailable: endpoint, registry or ledger did not answer; call again.
        Refused: the team is at another site than this process.
    """
    record = rollout(platform.ledger, rollout_id)
    platform.environment.refuse_elsewhere(record.ref.team)
    deployments.repair(platform, record.ref)
    record = arrival.settled(platform, record, now)
    named = {"team": record.ref.team, "model": record.ref.model, "version": record.version, "rollout": rollout_id}
    with tracing.span("rollout step", cycle=record.cycle, **named) as spanned:
        decision = _stepped(platform, model, record, now)
        judged = "" if decision.action == "wait" else decision.reason  # what waits may wait for a person, by name
        spanned.note(action=decision.action, percent=decision.percent, reason=judged)
        return decision


def _stepped(platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> Decision:
    decision = decide(platform, model, record, now)
    if decision.action == "wait":
        return decision
    taken = take(platform.ledger, record, decision, now)
    deployments.carry_out(platform, record.ref)
    return decision if taken else replace(decision, action="wait", reason="another process took this step")


def take_back(platform: Platform, record: RolloutRecord, decision: Decision, now: datetime) -> None:
    """Take a rollout back that a look found to do harm: the endpoint at once, the registry with its next ``step``.

    Raises:
        StoreUnavailable: the endpoint did not answer; its change is unfinished. Refused: as ``step``.
    """
    platform.environment.refuse_elsewhere(record.ref.team)
    named = {"team": record.ref.team, "model": record.ref.model, "version": record.version}
    with tracing.span("rollout step", cycle=record.cycle, rollout=record.rollout_id, **named) as spanned:
        take(platform.ledger, record, decision, now)
        deployments.ask(platform, record.ref)
        spanned.note(action=decision.action, percent=decision.percent, reason=decision.reason)


def look(platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> Decision:
    """Say what a step would do; to be asked at every tick, since the bake time begins when the endpoint is there."""
    return decide(platform, model, arrival.settled(platform, record, now), now)


def end(  # noqa: PLR0913, PLR0917 - as ``rollback.roll_back``
    platform: Platform, ref: ModelRef, actor: str, reason: str, now: datetime, version: str | None = None
) -> bool:
    """Roll back the rollout that runs, or the one that is watched, in a person's name; False when there is none.

    The caller carries it out.

    Raises:
        Refused: it is of another version than the one that is meant.
    """
    while True:
        record = running(platform.ledger, ref) or watched(platform.ledger, ref)
        live = deployments.deployment(platform.ledger, ref)
        if record is None or (record.state == WATCHING and not (live and live.watches(record.version))):
            return False
        deployments.refuse_another(ref, version, record.version)
        if take(platform.ledger, record, Decision("roll_back", 0, reason), now, actor):
            return True


def hold(ledger: Ledger, ref: ModelRef, actor: str, reason: str, now: datetime) -> RolloutRecord:
    """Keep a rollout at its percent until a person resumes it; harm still rolls it back.

    Raises:
        Refused: nobody is named, or no reason given. NotFound: no rollout runs.
    """
    return _switch(ledger, ref, "held", Entry(HELD, now, *ref, actor=actor, reason=reason))


def resume(ledger: Ledger, ref: ModelRef, actor: str, reason: str, now: datetime) -> RolloutRecord:
    """Let a rollout that is held go on.

    Raises:
        Refused: nobody is named, or no reason given. NotFound: no rollout is held.
    """
    return _switch(ledger, ref, "running", Entry(RESUMED, now, *ref, actor=actor, reason=reason))


def _needs(model: Model) -> list[str]:
    rule = model.rollout
    return [*([CANARY] if rule.percents else []), *([SHADOW] if rule.shadow_requests or rule.watch_hours else [])]


def _refuse_silent_judges(platform: Platform, ref: ModelRef, model: Model) -> None:
    """Refuse judges that could never speak: where versions are apart no request is replayed through the other one."""
    able = platform.serving.abilities(ref.dotted)
    silent = [judge.name for judge in model.rollout.judges if judge.only_pairs]
    if silent and SPLIT in able and SHADOW not in able:
        raise Unsupported(
            f"{', '.join(silent)} of {ref} compares both versions on the same requests, and its endpoint replays none",
            "judge by P99, ErrorRate or ScoreShift, or serve both versions in one pod",
        )


def _insert(ledger: Ledger, record: RolloutRecord, admit: Admit, waits: str) -> None:
    with ledger.writing(record.ref) as connection:
        if by_id(connection, record.rollout_id) is not None:
            return
        _refuse_clash(connection, record)
        admit(connection, record.ref, record.version)
        cycles.reopen(connection, record.cycle, f"version {record.version} goes on", record.started_at)
        last = select(column.cursor).where(of(record.ref)).order_by(column.started_at.desc()).limit(1)
        plain = {name: getattr(record, name) for name in PLAIN} | {"cursor": connection.scalar(last)}
        named = {"team": record.ref.team, "model": record.ref.model, "package": str(record.package)}
        connection.execute(insert(tables.rollouts).values(plain | named))
        append(connection, entry_of(record, "rollout.started", "its gates passed", {}, record.started_at))
        if waits:
            append(connection, entry_of(record, HELD, waits, {}, record.started_at))


def _refuse_clash(connection: Connection, record: RolloutRecord) -> None:
    query = select(column.rollout_id).where(of(record.ref), column.state.in_(ACTIVE))
    other = connection.scalar(query)
    if other is not None:
        raise Refused(f"rollout {other} of {record.ref} runs", "wait for its end, or roll it back")
    live = deployments.read(connection, record.ref)
    if live and live.stable and live.stable.version == record.version:
        raise Refused(f"version {record.version} of {record.ref} is live already", "train a new version")


def _switch(ledger: Ledger, ref: ModelRef, state: State, entry: Entry) -> RolloutRecord:
    signed(entry.actor, entry.reason, f"a rollout {state}")
    before = "held" if state == "running" else "running"
    with ledger.writing(ref) as connection:
        here = of(ref) & (column.state == before)
        row = connection.execute(select(tables.rollouts).where(here)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no rollout of {ref} is {before}", "look at 'loopline model status'")
        connection.execute(update(tables.rollouts).where(here).values(state=state))
        append(connection, replace(entry, cycle=row["cycle"], version=row["version"]))
    return rollout(ledger, row["rollout_id"])
