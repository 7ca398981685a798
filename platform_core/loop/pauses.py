"""How long persons kept a rollout where it is: the clock that runs out on a doubt stands still meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.loop import freezes

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger import Entry, Ledger
    from loopline.platform_core.loop.rollout_table import RolloutRecord

HELD, RESUMED = "rollout.held", "rollout.resumed"
_BEGINS = {HELD, freezes.FROZEN}


def stopped(ledger: Ledger, record: RolloutRecord) -> str:
    """Say who keeps a rollout from going on now, "" for nobody."""
    if record.state == "held":
        return "held by a person"
    entry = freezes.frozen(ledger, record.ref)
    return f"frozen by {entry.actor}: {entry.reason}" if entry else ""


def paused(ledger: Ledger, record: RolloutRecord, now: datetime) -> timedelta:
    """Return how long of a rollout's step it was held, or its model or everything was frozen, up to ``now``."""
    brakes: set[tuple[bool, str]] = set()
    total, since = timedelta(), record.step_started_at
    for at, entry in [*((e.at, e) for e in _entries(ledger, record)), (now, None)]:
        if brakes and at > since:
            total += at - since
        since = max(since, at)
        if entry is not None:
            brake = (entry.kind in {HELD, RESUMED}, entry.team)
            (brakes.add if entry.kind in _BEGINS else brakes.discard)(brake)
    return total


def _entries(ledger: Ledger, record: RolloutRecord) -> list[Entry]:
    """Return what began and ended pauses, oldest first; a rollout of before may have ended while it was held."""
    freezing = [freezes.FROZEN, freezes.THAWED]
    held = ledger.entries(record.ref, [HELD, RESUMED], version=record.version)
    own = [entry for entry in held if entry.cycle == record.cycle]
    frozen = [*ledger.entries(record.ref, freezing), *ledger.entries(freezes.EVERYTHING, freezing)]
    return sorted([*own, *frozen], key=lambda entry: entry.at)
