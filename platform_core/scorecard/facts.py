"""What the ledger says that the scorecard counts, read in one pass of few columns: never a whole entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from platform_core.loop import cycles, deployments, skews, tables, watching
from platform_core.turn import REGISTERED

if TYPE_CHECKING:
    from platform_core.loop.ledger import Ledger

_entry = tables.entries.c
_details = _entry.details
STARTED, ADVANCED, PROMOTED, ROLLED_BACK = (
    f"rollout.{verb}" for verb in ("started", "advanced", "promoted", "rolled_back")
)
Owner = tuple[str, str]
"""Team and model."""


@dataclass
class RolloutFact:
    """A rollout; times are seconds since 1970 by the platform's clock, ``inf`` for what has not happened.

    ``met`` is when callers first met the version, ``back`` when it was taken back, at once or after its promotion;
    ``restored`` is how many seconds of the wall's clock later everybody was answered by the stable version again.
    """

    team: str
    model: str
    version: str
    started: float
    drill: bool
    met: float = inf
    promoted: float = inf
    back: float = inf
    restored: float | None = None
    restored_at: float = inf


@dataclass(frozen=True)
class CycleFact:
    """A promoted cycle: when it closed, how long it had taken, in seconds, and whether a drift alarm opened it."""

    team: str
    closed: float
    seconds: float
    drift: bool


@dataclass(frozen=True)
class Event:
    """Something that is counted or summed: whose it is, when, and its figures."""

    team: str
    model: str
    at: float
    figures: Any = None


@dataclass
class Facts:
    """Everything counted; ``first`` is a team's first entry. Lists are in the order in which things were recorded."""

    rollouts: list[RolloutFact] = field(default_factory=list)
    cycles: list[CycleFact] = field(default_factory=list)
    skews: list[Event] = field(default_factory=list)
    trainings: list[Event] = field(default_factory=list)
    watched: list[Event] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)

    @property
    def teams(self) -> list[str]:
        """Return every team that the ledger knows."""
        return sorted(self.first)


def read(ledger: Ledger, since: datetime | None = None) -> Facts:
    """Read what happened since an instant; what began before is known as far as it can be."""
    facts = Facts()
    with ledger.reading() as connection:
        facts.first = _first(connection)
        _Rollouts(facts).follow(_rows(connection, _ROLLOUT_KINDS, _ROLLOUT_COLUMNS, since))
        _skews(facts, _rows(connection, (skews.CHECKED,), (_details["passed"].as_boolean().label("passed"),), since))
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


def _skews(facts: Facts, rows: Iterable[Row[Any]]) -> None:
    """Keep the checks that failed where the version's check before had not."""
    failing: dict[tuple[str, str, str], bool] = {}
    for row in rows:
        key = row.team, row.model, row.version
        failed = not row.passed
        if failed and not failing.get(key, False):
            facts.skews.append(Event(row.team, row.model, row.at.timestamp()))
        failing[key] = failed


class _Rollouts:
    """Follows cycles, rollouts and deployments, entry by entry."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.opened: dict[str, Row[Any]] = {}
        self.known: dict[str, RolloutFact] = {}
        self.newest: dict[tuple[str, str, str], RolloutFact] = {}
        self.stable: dict[Owner, str | None] = {}
        self.leaving: dict[Owner, RolloutFact] = {}
        self.awaited: dict[Owner, tuple[int, datetime, RolloutFact]] = {}

    def follow(self, rows: Iterable[Row[Any]]) -> None:
        """Take every entry in the order in which it was recorded."""
        steps = {
            cycles.OPENED: self._open,
            cycles.CLOSED: self._close,
            STARTED: self._start,
            ADVANCED: self._advance,
            PROMOTED: self._promote,
            ROLLED_BACK: self._roll_back,
            deployments.CHANGED: self._change,
            watching.ARRIVED: self._arrive,
        }
        for row in rows:
            steps[row.kind](row)

    def _open(self, row: Row[Any]) -> None:
        self.opened[row.cycle] = row

    def _close(self, row: Row[Any]) -> None:
        opened = self.opened.get(row.cycle)
        if row.state != "promoted" or (opened is not None and opened.drill):
            return
        began = row.at - timedelta(hours=row.hours) if opened is None else opened.at
        changed = opened is not None and opened.changed_at
        began = min(began, datetime.fromisoformat(changed)) if changed else began
        drift = opened is not None and opened.reason.startswith("drift:")
        seconds = (row.at - began).total_seconds()
        self.facts.cycles.append(CycleFact(row.team, row.at.timestamp(), seconds, drift))

    def _start(self, row: Row[Any]) -> None:
        opened = self.opened.get(row.cycle)
        drill = bool(opened is not None and opened.drill)
        fact = RolloutFact(row.team, row.model, row.version, row.at.timestamp(), drill)
        self.facts.rollouts.append(fact)
        self.known[row.rollout] = self.newest[row.team, row.model, row.version] = fact

    def _advance(self, row: Row[Any]) -> None:
        if (fact := self.known.get(row.rollout)) is not None:
            fact.met = min(fact.met, row.at.timestamp())

    def _promote(self, row: Row[Any]) -> None:
        self._advance(row)
        if (fact := self.known.get(row.rollout)) is not None:
            fact.promoted = row.at.timestamp()

    def _roll_back(self, row: Row[Any]) -> None:
        if (fact := self.known.get(row.rollout)) is not None:
            fact.back = row.at.timestamp()
            self.leaving[row.team, row.model] = fact

    def _change(self, row: Row[Any]) -> None:
        """Note what is stable; a change that takes a version back is carried out when the endpoint arrives at it."""
        owner = row.team, row.model
        if row.back and (fact := self.newest.get((*owner, self.stable.get(owner) or ""))) is not None:
            fact.back = row.at.timestamp()
            self.leaving[owner] = fact
        leaving = self.leaving.pop(owner, None)
        if leaving is not None and leaving.met < inf:
            self.awaited[owner] = row.generation, row.recorded_at, leaving
        self.stable[owner] = row.stable

    def _arrive(self, row: Row[Any]) -> None:
        awaited = self.awaited.get((row.team, row.model))
        if awaited is None or row.generation < awaited[0]:
            return
        _, decided, fact = awaited
        fact.restored, fact.restored_at = (row.recorded_at - decided).total_seconds(), row.at.timestamp()
        del self.awaited[row.team, row.model]
