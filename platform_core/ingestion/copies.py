"""Deduplication of content that arrives again: a copy where rows have event times, else a new state.

Rows with an event time say what happened, once: the same rows in another file say nothing new, and would count twice.
Rows without one, or with a key, say how things are when they arrive: prices that went from A to B and back to A are A
again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.ingestion.letters.refusals import SKIPPED

if TYPE_CHECKING:
    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.letters.refusals import Refusals


def left_out(inbox: Inbox, known: Refusals, waiting: Sequence[Arrival], landed: Collection[str]) -> list[Arrival]:
    """Leave out the copies among what waits; each is told of once, in the ledger and in the list of dead letters.

    A content whose first file went before it landed is no copy of anything; ``landed`` has the contents that landed.
    """
    if inbox.contract.restates or all(a.content == a.arrival_id for a in waiting):
        return [*waiting]
    seen = {a.content for a in waiting if a.content in landed}
    left = []
    for arrival in waiting:
        if arrival.content in seen and arrival.arrival_id not in known.wanted:
            _skip(inbox, known, arrival)
        else:
            left.append(arrival)
        seen.add(arrival.content)
    return left


def _is_copy(arrival: Arrival, other: Arrival) -> bool:
    return arrival.content == other.content and arrival.arrival_id != other.arrival_id


def _skip(inbox: Inbox, known: Refusals, arrival: Arrival) -> None:
    if arrival.arrival_id in known.skipped:
        return
    there = inbox.platform.event_source.arrivals(inbox.where)
    first = next((other.name for other in there if _is_copy(arrival, other)), "")
    problem = f"{arrival.name} holds what {first or 'an earlier file'} held, and lands no second time"
    fix = f"remove it; or, if its rows are others, 'loopline dead-letters retry {inbox.where} {arrival.name}'"
    details = {"arrival": arrival.arrival_id, "name": arrival.name, "problem": problem, "fix": fix}
    inbox.record(SKIPPED, problem, details, once=f"{SKIPPED}:{inbox.where}:{arrival.arrival_id}")
    known.apply(SKIPPED, inbox.platform.clock.now(), {**details, "contract": inbox.contract.version})
