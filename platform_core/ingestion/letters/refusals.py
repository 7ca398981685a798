"""Refused files: arrivals that break their contract as a whole; kept where they are until each is settled.

A file is settled once it has landed (as under another contract), once it is gone, or once somebody dismissed it with a
reason. Everything is read from the ledger, so that list, portal, check and alarm say the same.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.alarms import events
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.entry_kinds import REFUSED
from loopline.platform_core.loop.sites import site_redaction

if TYPE_CHECKING:
    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.loop.ledger.ledger import Ledger

SKIPPED, SETTLED = "arrival.skipped", "arrival.settled"
How = Literal["landed", "gone", "dismissed", "retry"]
SETTLES: Mapping[str, str] = {
    "landed": "{name} has landed",
    "gone": "{name} is no longer there as it was refused",
    "dismissed": "{name} is not to land",
    "retry": "{name} is to be tried again",
}
FRAMES = 3
"""Innermost lines of an unforeseen failure that are kept."""


@dataclass(frozen=True)
class Refusal:
    """An arrival that is kept where it is, because as a whole it is not what the contract says."""

    name: str
    problem: str
    fix: str
    arrival: str = ""
    at: datetime | None = None


@dataclass
class Refusals:
    """The refused files of a source: those that stand, and under which contract versions none is tried again.

    ``skipped`` are copies of what has landed, ``wanted`` what somebody wants to be tried all the same.
    """

    standing: dict[str, Refusal] = field(default_factory=dict)
    blocked: dict[str, set[str]] = field(default_factory=dict)
    dismissed: set[str] = field(default_factory=set)
    skipped: dict[str, Refusal] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    settlements: dict[str, int] = field(default_factory=dict)

    def holds(self, arrival_id: str, contract: str) -> bool:
        """Say whether an arrival is not to be tried under a version of the contract."""
        return arrival_id in self.dismissed or contract in self.blocked.get(arrival_id, ())

    def apply(self, kind: str, at: datetime, details: Mapping[str, Any]) -> None:
        """Take in what the ledger says next."""
        arrival = details["arrival"]
        if kind in (REFUSED, SKIPPED):
            refusal = Refusal(details["name"], details["problem"], details["fix"], arrival, at)
            (self.standing if kind == REFUSED else self.skipped)[arrival] = refusal
        if kind == SKIPPED:
            return
        if kind == REFUSED:
            self.blocked.setdefault(arrival, set()).add(details["contract"])
            return
        self.settlements[arrival] = self.settlements.get(arrival, 0) + 1
        self.blocked.pop(arrival, None)
        (self.dismissed.add if details["how"] == "dismissed" else self.dismissed.discard)(arrival)
        if details["how"] == "retry":
            self.wanted.add(arrival)
            self.skipped.pop(arrival, None)
        else:
            self.standing.pop(arrival, None)


def refusals(ledger: Ledger, team: str, source: str) -> Refusals:
    """Read the refused files of a source, the oldest first."""
    return refusals_of_team(ledger, team).get(source, Refusals())


def refusals_of_team(ledger: Ledger, team: str) -> dict[str, Refusals]:
    """Read the refused files of all sources of a team by one question; a source that never had any is left out."""
    found: dict[str, Refusals] = {}
    for entry in ledger.entries(ModelRef(team, ""), [REFUSED, SKIPPED, SETTLED]):
        source = entry.details["source"].removeprefix(f"{team}/")
        found.setdefault(source, Refusals()).apply(entry.kind, entry.at, entry.details)
    return found


def refuse(inbox: Inbox, arrival: Arrival, error: BaseException, known: Refusals) -> Refusal:
    """Write a refusal into the ledger, once under each version of the contract and each try."""
    foreseen = isinstance(error, ContractBroken)
    problem = error.problem if isinstance(error, ContractBroken) else f"{arrival.name}: {_named(error)}"
    fix = error.fix if isinstance(error, ContractBroken) else _UNFORESEEN
    if site_redaction.at_site(inbox.platform):
        more = "" if foreseen else "".join(traceback.format_exception(error))
        problem = site_redaction.told(inbox.platform, f"{arrival.name} is refused", f"{problem} → {fix} {more}")
        fix, foreseen = "read there why", True
    key = f"{REFUSED}:{inbox.where}:{arrival.arrival_id}:{inbox.contract.version}"
    tries = known.settlements.get(arrival.arrival_id, 0)
    details = {"arrival": arrival.arrival_id, "name": arrival.name, "problem": problem, "fix": fix}
    trace = {} if foreseen else {"trace": traceback.format_exception(error)[-FRAMES:]}
    inbox.record(REFUSED, problem, {**details, **trace}, once=f"{key}:{tries}" if tries else key)
    return Refusal(arrival.name, problem, fix, arrival.arrival_id, inbox.platform.clock.now())


def review(inbox: Inbox, known: Refusals, listed: Collection[str], landed: Collection[str]) -> None:
    """Settle what has landed or is gone, and bring the alarm up to what stands."""
    for arrival in [*known.standing]:
        if arrival in landed or arrival not in listed:
            settle(inbox, known, arrival, "landed" if arrival in landed else "gone")
    if known.settlements or known.standing:
        events.refused(inbox.platform, inbox.where, [*known.standing.values()])


def settle(inbox: Inbox, known: Refusals, arrival: str, how: How, by: str = "platform", reason: str = "") -> None:  # noqa: PLR0913, PLR0917 - what, who and why
    """Write into the ledger what became of a refused file, once."""
    refusal = (known.skipped | known.standing)[arrival]
    said = SETTLES[how].format(name=refusal.name) + (f": {reason}" if reason else "")
    key = f"{SETTLED}:{inbox.where}:{arrival}:{known.settlements.get(arrival, 0)}"
    details = {"arrival": arrival, "name": refusal.name, "how": how}
    inbox.record(SETTLED, said, details, once=key, actor=by)
    known.apply(SETTLED, inbox.platform.clock.now(), details)


def decide(inbox: Inbox, name: str, how: How, by: str, reason: str) -> Sequence[Refusal]:
    """Dismiss or retry the refused files of a name, "" for all; who and why is kept.

    Raises:
        Refused: nobody is named, or no reason given for a dismissal. NotFound: no refused file of that name stands.
    """
    from loopline.platform_core.loop.freezes import signed

    signed(by, reason if how == "dismissed" else reason or "-", "a dismissal")
    known = refusals(inbox.platform.ledger, inbox.team, inbox.source)
    every = [*known.standing.values(), *(known.skipped.values() if how == "retry" and name else ())]
    wanted = [one for one in every if name in ("", one.name)]
    if not wanted:
        named = f" called {name!r}" if name else ""
        raise NotFound(f"{inbox.where} has no refused file{named}", "list them: loopline dead-letters list")
    for one in wanted:
        settle(inbox, known, one.arrival, how, by, reason)
    events.refused(inbox.platform, inbox.where, [*known.standing.values()])
    return wanted


def _named(error: BaseException) -> str:
    return f"unforeseen {type(error).__name__}: {error}"


_UNFORESEEN = (
    "look at the file; if it is as it should be this is a defect, please report it with the trace in the ledger; "
    "'loopline dead-letters retry' tries the file again"
)
