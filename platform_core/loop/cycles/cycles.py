"""Retraining cycles: each opened for a cause, and closed with a verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.foundation.trace_ids import of_cycle
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.specs.model import Drift

State = Literal["open", "promoted", "rejected", "rolled_back", "failed"]
Closed = Literal["promoted", "rejected", "rolled_back", "failed"]

OPENED = "cycle.opened"
CLOSED = "cycle.closed"
REOPENED = "cycle.reopened"
DAY = timedelta(hours=24)
_column = tables.cycles.c


@dataclass(frozen=True)
class Cycle:
    """One turn of the loop. ``drill`` multiplies feature columns of the training rows: a mistake on purpose."""

    cycle_id: str
    ref: ModelRef
    cause: str
    state: State
    opened_at: datetime
    closed_at: datetime | None
    verdict: str
    drill: Mapping[str, float] = field(default_factory=dict)


def open_cycle(  # noqa: PLR0913, PLR0917 - a cycle is what, by which rule, why and when
    ledger: Ledger,
    ref: ModelRef,
    rule: Drift,
    cause: str,
    key: str,
    now: datetime,
    *,
    force: bool = False,
    drill: Mapping[str, float] | None = None,
    changed_at: datetime | None = None,
) -> Cycle:
    """Open a cycle; the same ``key`` gives the same cycle for ever, so whoever crashed may ask again.

    ``force`` skips cool-down and budget, for a person; never a freeze, nor the cycle that is open. ``changed_at`` is
    when what is to go live was first written (a commit, an arrival): the scorecard counts the lead time from there.

    Raises:
        Refused: frozen, a cycle is open, cooling down, or the day's budget is spent.
    """
    with ledger.writing(ref) as connection:
        known = _by_key(connection, ref, key)
        if known is not None:
            return known
        _allow(connection, ref, rule, now, force=force)
        cycle = Cycle(_name(ref, key, now), ref, cause, "open", now, None, "", dict(drill or {}))
        details = {"key": key, "forced": force} | ({"drill": cycle.drill} if cycle.drill else {})
        details |= {"changed_at": changed_at.astimezone(UTC).isoformat()} if changed_at else {}
        details |= {tracing.TRACE: of_cycle(cycle.cycle_id)} if tracing.on() else {}
        entry_id = append(connection, Entry(OPENED, now, *ref, cycle.cycle_id, reason=cause, details=details))
        connection.execute(insert(tables.cycles).values(_values(cycle, key) | {"entry_id": entry_id}))
    told = "by hand" if force else cause  # a person's words and name stay in the ledger
    tracing.opened(cycle.cycle_id, team=ref.team, model=ref.model, cause=told)
    return cycle


def close_cycle(ledger: Ledger, cycle_id: str, state: Closed, verdict: str, now: datetime) -> Cycle:
    """End a cycle and return it as it stands: the first to close it wins; while its rollout runs, only that may.

    Raises:
        NotFound: no such cycle.
    """
    with ledger.writing(cycle(ledger, cycle_id).ref) as connection:
        if not _rolling_out(connection, cycle_id):
            settle(connection, cycle_id, state, verdict, now)
    return cycle(ledger, cycle_id)


def give_up(ledger: Ledger, cycle_id: str, by: str, reason: str, now: datetime) -> Cycle:
    """End an open cycle as failed, by a person; what its run does meanwhile deploys nothing.

    Raises:
        NotFound: no such cycle. Refused: nobody is named, no reason given, it is closed, or its rollout runs.
    """
    freezes.signed(by, reason, "the end of a cycle")
    found = cycle(ledger, cycle_id)
    with ledger.writing(found.ref) as connection:
        if _rolling_out(connection, cycle_id):
            fix = f"take it back with 'loopline rollback {found.ref}', which ends the cycle"
            raise Refused(f"cycle {cycle_id} is rolling out", fix)
        state = connection.scalar(select(_column.state).where(_column.cycle_id == cycle_id))
        if state != "open":
            raise Refused(f"cycle {cycle_id} is closed already: {state}", "nothing is left to do")
        settle(connection, cycle_id, "failed", f"closed by {by}: {reason}", now, by)
    return cycle(ledger, cycle_id)


def given_up(ledger: Ledger, one: Cycle) -> bool:
    """Say whether a person ended a cycle, and nobody has taken it up since."""
    entries = ledger.entries(one.ref, [CLOSED, REOPENED], newest_first=True)
    last = next((entry for entry in entries if entry.cycle == one.cycle_id), None)
    return last is not None and last.kind == CLOSED and last.actor != "platform"


def settle(  # noqa: PLR0913, PLR0917 - a cycle ends so, for that reason, then, by whom
    connection: Connection, cycle_id: str, state: Closed, verdict: str, now: datetime, by: str = "platform"
) -> None:
    """End a cycle inside a transaction, if it is open."""
    values = {"state": state, "verdict": verdict, "closed_at": now}
    still_open = (_column.cycle_id == cycle_id) & (_column.state == "open")
    if connection.execute(update(tables.cycles).where(still_open).values(values)).rowcount:
        _append_closed(connection, cycle_id, state, verdict, now, by)


def _append_closed(  # noqa: PLR0913, PLR0917 - as settle
    connection: Connection, cycle_id: str, state: Closed, verdict: str, now: datetime, by: str = "platform"
) -> None:
    row = connection.execute(select(tables.cycles).where(_column.cycle_id == cycle_id)).mappings().one()
    hours = (now - row["opened_at"]).total_seconds() / 3600
    details = {"state": state, "hours": round(hours, 3)}
    entry = Entry(CLOSED, now, row["team"], row["model"], cycle_id, actor=by, reason=verdict, details=details)
    append(connection, entry)
    with tracing.span("cycle closed", cycle=cycle_id, team=row["team"], model=row["model"], state=state):
        pass


def overturn(connection: Connection, cycle_id: str, verdict: str, now: datetime) -> None:
    """Let a cycle that was promoted count as rolled back, inside a transaction: its promotion was taken back."""
    values = {"state": "rolled_back", "verdict": verdict, "closed_at": now}
    promoted = (_column.cycle_id == cycle_id) & (_column.state == "promoted")
    if connection.execute(update(tables.cycles).where(promoted).values(values)).rowcount:
        _append_closed(connection, cycle_id, "rolled_back", verdict, now)


def reopen(connection: Connection, cycle_id: str, reason: str, now: datetime) -> None:
    """Take up a cycle again inside a transaction, when it was rejected or failed and is now to go on.

    Raises:
        Refused: another cycle of the model is open.
    """
    row = connection.execute(select(tables.cycles).where(_column.cycle_id == cycle_id)).mappings().one_or_none()
    if row is None or row["state"] not in {"rejected", "failed"}:
        return
    _refuse_second(connection, ModelRef(row["team"], row["model"]))
    values = {"state": "open", "verdict": "", "closed_at": None}
    connection.execute(update(tables.cycles).where(_column.cycle_id == cycle_id).values(values))
    append(connection, Entry(REOPENED, now, row["team"], row["model"], cycle_id, reason=reason))


def cycle(ledger: Ledger, cycle_id: str) -> Cycle:
    """Return a cycle.

    Raises:
        NotFound: no such cycle.
    """
    with ledger.reading() as connection:
        row = connection.execute(select(tables.cycles).where(_column.cycle_id == cycle_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no cycle {cycle_id!r}", "list them with 'loopline history <model>'")
    return from_row(row)


def open_cycles(ledger: Ledger) -> list[Cycle]:
    """Return every open cycle, oldest first."""
    query = select(tables.cycles).where(_column.state == "open").order_by(_column.entry_id)
    with ledger.reading() as connection:
        return [from_row(row) for row in connection.execute(query).mappings()]


def cycles(ledger: Ledger, ref: ModelRef) -> list[Cycle]:
    """Return every cycle of a model, oldest first."""
    query = select(tables.cycles).where(_of(ref)).order_by(_column.entry_id)
    with ledger.reading() as connection:
        return [from_row(row) for row in connection.execute(query).mappings()]


def _allow(connection: Connection, ref: ModelRef, rule: Drift, now: datetime, *, force: bool) -> None:
    freezes.refuse_if_frozen(connection, ref)
    _refuse_second(connection, ref)
    if not force:
        _cool(connection, ref, rule, now)
        _afford(connection, ref, rule, now)


def _refuse_second(connection: Connection, ref: ModelRef) -> None:
    running = connection.scalar(select(_column.cycle_id).where(_of(ref), _column.state == "open"))
    if running is not None:
        raise Refused(
            f"{ref} has an open cycle, {running}", "wait for its verdict, or end it with 'loopline cycle close'"
        )


def _cool(connection: Connection, ref: ModelRef, rule: Drift, now: datetime) -> None:
    before = select(_column.opened_at).where(_of(ref), _column.opened_at <= now)
    newest = before.order_by(_column.opened_at.desc()).limit(1)
    last = connection.scalar(newest)
    until = last + timedelta(hours=rule.cooldown_hours) if last else now
    if now < until:
        raise Refused(
            f"{ref} cools down until {until:%Y-%m-%d %H:%M} UTC: its last cycle opened at {last:%Y-%m-%d %H:%M}",
            "wait, shorten 'cooldown_hours', or open the cycle by hand",
        )


def _afford(connection: Connection, ref: ModelRef, rule: Drift, now: datetime) -> None:
    spent = select(func.count()).where(_of(ref), _column.opened_at > now - DAY, _column.opened_at <= now)
    count = connection.scalar(spent) or 0
    if count >= rule.daily_budget:
        raise Refused(
            f"{ref} has opened {count} cycles in 24 hours, its budget",
            "wait, raise 'daily_budget', or open the cycle by hand",
        )


def _rolling_out(connection: Connection, cycle_id: str) -> bool:
    rollout = tables.rollouts.c
    query = select(rollout.rollout_id).where(rollout.cycle == cycle_id, rollout.state.in_(("running", "held")))
    return connection.scalar(query) is not None


def _by_key(connection: Connection, ref: ModelRef, key: str) -> Cycle | None:
    query = select(tables.cycles).where(_of(ref), _column.key == key)
    row = connection.execute(query).mappings().one_or_none()
    return from_row(row) if row else None


def _of(ref: ModelRef) -> ColumnElement[bool]:
    return (_column.team == ref.team) & (_column.model == ref.model)


def _name(ref: ModelRef, key: str, now: datetime) -> str:
    digest = hashlib.sha256(f"{ref.dotted}\n{key}".encode()).hexdigest()
    return f"{ref.dotted}-{now.astimezone(UTC):%Y%m%dT%H%M}-{digest[:8]}"


def _values(cycle: Cycle, key: str) -> dict[str, object]:
    plain = ("cycle_id", "cause", "state", "opened_at", "closed_at", "verdict")
    own = {name: getattr(cycle, name) for name in plain}
    return own | {"team": cycle.ref.team, "model": cycle.ref.model, "key": key, "drill": dict(cycle.drill) or None}


def from_row(row: RowMapping) -> Cycle:
    """Return a row of the table as a cycle."""
    return Cycle(
        cycle_id=row["cycle_id"],
        ref=ModelRef(row["team"], row["model"]),
        cause=row["cause"],
        state=row["state"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        verdict=row["verdict"],
        drill=row["drill"] or {},
    )
