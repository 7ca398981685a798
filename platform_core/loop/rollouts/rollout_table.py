"""Table of rollouts: records and queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger

State = Literal["running", "held", "watching", "promoted", "rolled_back"]
ACTIVE = ("running", "held")
WATCHING: State = "watching"
"""Promoted, and the version before goes on as a shadow: its cycle is closed, and another rollout may begin."""
BEFORE_SHADOW, BEFORE_FIRST = -2, -1
"""Steps at which a rollout begins: with a shadow, which then is step -1, and without."""
column = tables.rollouts.c


@dataclass(frozen=True)
class RolloutRecord:
    """Where a rollout stands. ``cursor`` is the log's when the step began, ``first_cursor`` when the first one did."""

    rollout_id: str
    ref: ModelRef
    cycle: str
    version: str
    package: Path
    step: int
    percent: int
    started_at: datetime
    step_started_at: datetime
    cursor: str | None
    state: State
    first_cursor: str | None = None

    @property
    def in_shadow(self) -> bool:
        """Say whether the candidate answers nobody yet, and is judged by what it says to replayed requests."""
        return self.step == BEFORE_FIRST and self.first_cursor is not None

    @property
    def where(self) -> str:
        """Say how far it is."""
        if self.state == WATCHING:
            return "watched since its promotion"
        return "in shadow" if self.in_shadow else f"at {self.percent} percent"

    @property
    def served(self) -> Served:
        """Return the candidate as an endpoint serves it."""
        return Served(self.version, self.package, self.cycle)


def rollout(ledger: Ledger, rollout_id: str) -> RolloutRecord:
    """Return a rollout.

    Raises:
        NotFound: no such rollout.
    """
    with ledger.reading() as connection:
        record = by_id(connection, rollout_id)
    if record is None:
        raise NotFound(f"no rollout {rollout_id!r}", "list what happened with 'loopline history <model>'")
    return record


def running(ledger: Ledger, ref: ModelRef) -> RolloutRecord | None:
    """Return the rollout of a model that runs or is held."""
    return next((record for record in active(ledger) if record.ref == ref), None)


def active(ledger: Ledger) -> list[RolloutRecord]:
    """Return every rollout that runs or is held, oldest first."""
    return _in_states(ledger, ACTIVE)


def _in_states(ledger: Ledger, states: Sequence[str]) -> list[RolloutRecord]:
    query = select(tables.rollouts).where(column.state.in_(states)).order_by(column.started_at)
    with ledger.reading() as connection:
        return [record_of(row) for row in connection.execute(query).mappings()]


def watched(ledger: Ledger, ref: ModelRef) -> RolloutRecord | None:
    """Return the rollout of a model that was promoted and is still watched."""
    return next((record for record in _in_states(ledger, (WATCHING,)) if record.ref == ref), None)


def newest(ledger: Ledger, ref: ModelRef) -> RolloutRecord | None:
    """Return the rollout of a model that began last; None where none ever did."""
    query = select(tables.rollouts).where(of(ref)).order_by(column.started_at.desc()).limit(1)
    with ledger.reading() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return record_of(row) if row else None


def looked_after(ledger: Ledger) -> list[RolloutRecord]:
    """Return every rollout that runs, is held or is watched after its promotion, oldest first."""
    return _in_states(ledger, (*ACTIVE, WATCHING))


def due(ledger: Ledger, now: datetime) -> list[RolloutRecord]:
    """Return every rollout to look at: harm may show at any time, so all that have begun by ``now``."""
    return [record for record in looked_after(ledger) if record.step_started_at <= now]


PLAIN = ("rollout_id", "cycle", "version", "step", "percent", "started_at", "step_started_at", "first_cursor", "state")
"""Columns that a record holds as they are."""


def id_of(cycle: str, ref: ModelRef, version: str) -> str:
    """Return the id of the one rollout that a version has in a cycle."""
    return f"{cycle or ref.dotted}-v{version}"


def by_id(connection: Connection, rollout_id: str) -> RolloutRecord | None:
    """Return a rollout inside a transaction."""
    row = connection.execute(select(tables.rollouts).where(column.rollout_id == rollout_id)).mappings().one_or_none()
    return record_of(row) if row else None


def record_of(row: RowMapping) -> RolloutRecord:
    """Return a row as a record."""
    named = {"ref": ModelRef(row["team"], row["model"]), "package": Path(row["package"]), "cursor": row["cursor"]}
    return RolloutRecord(**{name: row[name] for name in PLAIN}, **named)


def of(ref: ModelRef) -> ColumnElement[bool]:
    """Select a model's rollouts."""
    return (column.team == ref.team) & (column.model == ref.model)
