"""Pauses of a rollout: the time that a hold, a freeze or an experiment stopped it, which its deadlines leave out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.rollouts import experiments

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord

HELD, RESUMED = "rollout.held", "rollout.resumed"
_EXPERIMENT = (experiments.STARTED, experiments.ENDED)
_BEGINS = {HELD, freezes.FROZEN, experiments.STARTED}


def stopped(ledger: Ledger, record: RolloutRecord) -> str:
    """Say who or what keeps a rollout from going on now, "" for nobody."""
    if record.state == "held":
        return "held by a person"
    entry = freezes.frozen(ledger, record.ref)
    return f"frozen by {entry.actor}: {entry.reason}" if entry else experiments.stops(ledger, record)


def paused(ledger: Ledger, record: RolloutRecord, now: datetime) -> timedelta:
    """Return how long of a rollout's step it was held, frozen or kept by an experiment, up to ``now``."""
    brakes: set[tuple[str, str]] = set()
    total, since = timedelta(), record.step_started_at
    for at, entry in [*((e.at, e) for e in _entries(ledger, record)), (now, None)]:
        if brakes and at > since:
            total += at - since
        since = max(since, at)
        if entry is not None:
            brake = (entry.kind.partition(".")[0], entry.team)
            (brakes.add if entry.kind in _BEGINS else brakes.discard)(brake)
    return total


def _at_split(ledger: Ledger, record: RolloutRecord) -> bool:
    one = experiments.of(ledger, record)
    return one is not None and record.percent == one.percent


def _entries(ledger: Ledger, record: RolloutRecord) -> list[Entry]:
    """Return what began and ended pauses, oldest first; a rollout of before may have ended while it was held."""
    freezing = [freezes.FROZEN, freezes.THAWED]
    kinds = [HELD, RESUMED, *(_EXPERIMENT if _at_split(ledger, record) else ())]
    held = ledger.entries(record.ref, kinds, version=record.version)
    own = [entry for entry in held if entry.cycle == record.cycle]
    frozen = [*ledger.entries(record.ref, freezing), *ledger.entries(freezes.EVERYTHING, freezing)]
    return sorted([*own, *frozen], key=lambda entry: entry.at)
