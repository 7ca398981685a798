"""Content that comes again: taken for a copy where rows say when they happened, else for what holds anew.

Rows with an event time say what happened, once: the same rows in another file say nothing new, and would count twice.
Rows without one, or with a key, say how things are when they arrive: prices that went from A to B and back to A are A
again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.ingestion.inbox import application
from loopline.platform_core.ingestion.refusals import SKIPPED

if TYPE_CHECKING:
    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.refusals import Refusals


def left_out(
    inbox: Inbox, known: Refusals, every: Sequence[Arrival], waiting: Sequence[Arrival], landed: Collection[str]
) -> list[Arrival]:
    """Leave out the copies among what waits; each is told of once, in the ledger and in the list of dead letters.

    A content whose first file went before it landed is no copy of anything; ``landed`` are ids of arrivals.
    """
    if inbox.contract.restates or all(a.content == a.arrival_id for a in waiting):
        return [*waiting]
    again = inbox.platform.lake.committed(inbox.raw, [application(a.content) for a in waiting])
    seen = {a.content for a in every if a.arrival_id in landed or application(a.content) in again}
    left = []
    for arrival in waiting:
        if arrival.content in seen and arrival.arrival_id not in known.wanted:
            _skip(inbox, known, arrival, next((a.name for a in every if _is_copy(arrival, a)), ""))
        else:
            left.append(arrival)
        seen.add(arrival.content)
    return left


def _is_copy(arrival: Arrival, other: Arrival) -> bool:
    return arrival.content == other.content and arrival.arrival_id != other.arrival_id


def _skip(inbox: Inbox, known: Refusals, arrival: Arrival, first: str) -> None:
    if arrival.arrival_id in known.skipped:
        return
    problem = f"{arrival.name} holds what {first or 'an earlier file'} held, and lands no second time"
    fix = f"remove it; or, if its rows are others, 'loopline dead-letters retry {inbox.where} {arrival.name}'"
    details = {"arrival": arrival.arrival_id, "name": arrival.name, "problem": problem, "fix": fix}
    inbox.record(SKIPPED, problem, details, once=f"{SKIPPED}:{inbox.where}:{arrival.arrival_id}")
    known.told(SKIPPED, inbox.platform.clock.now(), {**details, "contract": inbox.contract.version})
