"""Builds the scorecard's facts from ledger entries, in the order of recording."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments, watching
from loopline.scorecard.facts import CycleFact, Event, Facts, RolloutFact

if TYPE_CHECKING:
    from sqlalchemy import Row

STARTED, ADVANCED, PROMOTED, ROLLED_BACK = (
    f"rollout.{verb}" for verb in ("started", "advanced", "promoted", "rolled_back")
)
Owner = tuple[str, str]
"""Team and model."""


def follow_skews(facts: Facts, rows: Iterable[Row[Any]]) -> None:
    """Keep the checks that failed where the version's check before had not."""
    failing: dict[tuple[str, str, str], bool] = {}
    for row in rows:
        key = row.team, row.model, row.version
        failed = not row.passed
        if failed and not failing.get(key, False):
            facts.skews.append(Event(row.team, row.model, row.at.timestamp()))
        failing[key] = failed


class Following:
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
