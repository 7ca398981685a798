"""Computes the scorecard: missing days of its history, and today's figures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.training import prices
from loopline.scorecard import reading, reuse, servers, store, traffic
from loopline.scorecard.cost import Costs
from loopline.scorecard.definitions import DEFINITIONS, MONTH_DAYS, QUARTER_DAYS
from loopline.scorecard.delivery import Delivery
from loopline.scorecard.figure import ORGANISATION, Figure, Measure
from loopline.scorecard.service import Service

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team

AT_ONCE_DAYS = 50
"""Days of a long history that are computed and written together."""
HOURLY_MODELS = 100
"""Of more models than that, figures are written at the end of a day and at the first look of the next one only."""
LONGEST_DAYS = 800
"""How far back history is filled in at the most."""
Measured = Mapping[str, Mapping[str, Measure]]
"""By scope, by name."""


@dataclass(frozen=True)
class Updated:
    """What a call did: figures of now, days computed (with today), and rows that were written."""

    figures: tuple[Figure, ...]
    days: int
    rows: int


def update(platform: Platform, teams: Sequence[Team] = (), runs: Measured | None = None) -> Updated:
    """Compute every day since the last one of which there are figures, and today as far as it is; write them down.

    A day's figures are those of its end, by what was recorded until then; so what was missed is filled in. Called
    often it is cheap: what did not change is not written. Of models, the last day's end and now are computed, and no
    history of before. ``teams`` are those installed, for their objectives and templates; ``runs`` are figures that
    only an orchestrator knows.
    """
    _look(platform, teams)
    now, last = platform.clock.now(), store.last_day(platform.lake)
    ends = _ends(last or _first_day(platform, now), now)
    computer = _computer(platform, teams, (ends[0] - timedelta(microseconds=1)).date(), now)
    rows = _fill_in(platform, computer, ends[:-1])
    figures = [*computer.at(now), *_as_of_now(platform, teams, computer, runs or {}, now)]
    if last != now.date() or len(computer.models) <= HOURLY_MODELS:
        figures += computer.of_models(now)
    return Updated(tuple(figures), len(ends), rows + store.keep(platform, figures))


@dataclass(frozen=True)
class _Computer:
    """Everything that figures are computed from."""

    deliveries: Mapping[str, Delivery]
    service: Service
    costs: Costs

    def at(self, end: datetime) -> Iterator[Figure]:
        """Compute the figures of the organisation and of all teams as they were at an instant."""
        until = end.timestamp()
        for scope, delivery in self.deliveries.items():
            found = delivery.measured(until) | self.service.measured(scope, until) | self.costs.measured(scope, until)
            yield from _figures(scope, found, end)

    @property
    def models(self) -> list[ModelRef]:
        """Return every model of which something is said."""
        trained = {ModelRef(team, model) for team, model, _ in self.costs.trainings}
        return sorted({*self.service.models, *trained})

    def of_models(self, end: datetime) -> Iterator[Figure]:
        """Compute what is said of each model as it was at an instant."""
        until = end.timestamp()
        for ref in self.models:
            scope = str(ref)
            yield from _figures(scope, self.service.measured(scope, until) | self.costs.measured(scope, until), end)


def _look(platform: Platform, teams: Sequence[Team]) -> None:
    """Count what was answered and used since the last look."""
    with contextlib.suppress(CommitConflict):  # another process counts the same at this moment
        traffic.count(platform.lake, _refs(platform, teams))
    servers.look(platform)


def _fill_in(platform: Platform, computer: _Computer, ends: Sequence[datetime]) -> int:
    """Write down days that are over, some at once; return how many rows that were."""
    rows = 0
    for start in range(0, len(ends), AT_ONCE_DAYS):
        days = ends[start : start + AT_ONCE_DAYS]
        rows += store.keep(platform, [figure for end in days for figure in computer.at(end)])
    return rows + sum(store.keep(platform, computer.of_models(end)) for end in ends[-1:])


def _computer(platform: Platform, teams: Sequence[Team], first: date, now: datetime) -> _Computer:
    since = datetime.combine(first - timedelta(days=2 * QUARTER_DAYS), time(), UTC)
    facts = reading.read(platform.ledger, since)
    count = (now.date() - first).days + MONTH_DAYS + 1
    days = [now.date() - timedelta(days=back) for back in range(count)]
    asked, used = traffic.days(platform.lake, days), servers.used(platform.lake, days)
    slos = {ModelRef(team.name, model.name): model.slo for team in teams for model in team.models}
    scopes = [ORGANISATION, *sorted({*facts.teams, *(team.name for team in teams)})]
    deliveries = {scope: Delivery(facts, scope) for scope in scopes}
    costs = Costs(facts, asked, used, prices.of_platform(platform))
    return _Computer(deliveries, Service(facts, asked, slos), costs)


def _as_of_now(
    platform: Platform, teams: Sequence[Team], computer: _Computer, runs: Measured, now: datetime
) -> Iterator[Figure]:
    """Compute what is known of now alone: what is registered, and what runs did."""
    for scope, found in reuse.measured(platform.ledger, teams, computer.deliveries).items():
        yield from _figures(scope, {**found, **runs.get(scope, {})}, now)


def _figures(scope: str, found: Mapping[str, Measure], at: datetime) -> Iterator[Figure]:
    for name, measure in found.items():
        known = DEFINITIONS[name]
        yield Figure(
            name, scope, measure.value, measure.unit or known.unit, measure.count, known.how, at, measure.reason
        )


def _ends(begun: date, now: datetime) -> list[datetime]:
    """Return the end of each day from ``begun`` on, and now for today's."""
    past = [begun + timedelta(days=day) for day in range((now.date() - begun).days)]
    ends = (datetime.combine(day + timedelta(days=1), time(), UTC) for day in past)
    return [*(end for end in ends if end < now), now]


def _first_day(platform: Platform, now: datetime) -> date:
    found = platform.ledger.entries(limit=1)
    longest = now.date() - timedelta(days=LONGEST_DAYS)
    return max(longest, min(found[0].at.date(), now.date())) if found else now.date()


def _refs(platform: Platform, teams: Sequence[Team]) -> list[ModelRef]:
    """Return every model that is declared, or was ever deployed."""
    from sqlalchemy import select

    from loopline.platform_core.loop.ledger import tables

    place = tables.deployments.c
    with platform.ledger.reading() as connection:
        deployed = {ModelRef(row[0], row[1]) for row in connection.execute(select(place.team, place.model))}
    return sorted(deployed | {ModelRef(team.name, model.name) for team in teams for model in team.models})
