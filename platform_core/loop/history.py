"""What was live at a moment and why, and the whole story of a model: read from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop import tables
from loopline.platform_core.loop.deployments import CHANGED, served
from loopline.platform_core.loop.freezes import FROZEN, THAWED
from loopline.platform_core.loop.sentences import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger import Entry, Ledger

REASONS = (
    "cycle.opened",
    "cycle.reopened",
    "training_set.pinned",
    "model.registered",
    "gate.judged",
    "gate.overridden",
    "promotion.wished",
    "promotion.met",
    "experiment.started",
    "experiment.ended",
    "rollout.started",
    "rollout.shadowed",
    "rollout.advanced",
    "rollout.held",
    "rollout.resumed",
    "rollout.promoted",
    "rollout.watched",
    "rollout.rolled_back",
    "cycle.closed",
)
"""Kinds of entries that explain why a version is live."""


@dataclass(frozen=True)
class StoryEntry:
    """An entry with its sentence for people."""

    entry: Entry
    text: str


@dataclass(frozen=True)
class Account:
    """What was live at ``at``.

    ``stable`` has been so ``since``, made by ``cycle``; ``why`` are sentences, oldest first.
    """

    ref: ModelRef
    at: datetime
    generation: int
    stable: Served
    candidate: Served | None
    percent: int
    cycle: str
    since: datetime
    why: list[str]
    shadow: Served | None = None


def live_at(ledger: Ledger, ref: ModelRef, at: datetime) -> Account:
    """Say what was live at a moment of the platform's clock, and why, by what was recorded until then.

    Raises:
        NotFound: nothing was live yet.
    """
    changes = ledger.entries(ref, [CHANGED], until=at)
    stable = served(changes[-1].details["stable"]) if changes else None
    if stable is None:
        raise NotFound(f"nothing of {ref} was live at {at:%Y-%m-%d %H:%M} UTC", "ask for a later moment")
    now = changes[-1].details
    candidate, shadow = served(now["candidate"]), served(now.get("shadow"))
    came = _came(changes)
    return Account(
        ref=ref,
        at=at,
        generation=now["generation"],
        stable=stable,
        candidate=candidate,
        percent=now["percent"],
        cycle=stable.cycle,
        since=came.at,
        why=_why(ledger, ref, at, [v.cycle for v in (stable, candidate, shadow) if v], came),
        shadow=shadow,
    )


def story(ledger: Ledger, ref: ModelRef, until: datetime | None = None) -> list[StoryEntry]:
    """Tell everything that happened to a model, and the freezes of all, in the order in which it was recorded."""
    everything = type(ref)("", "")
    own = [*ledger.entries(ref, until=until), *ledger.entries(everything, until=until)]
    return [StoryEntry(entry, tell(entry)) for entry in sorted(own, key=lambda entry: entry.entry_id or 0)]


def newest(
    ledger: Ledger, ref: ModelRef, limit: int, before: int | None = None, without: Sequence[str] = ()
) -> list[Entry]:
    """Return the last entries of a model and the freezes of all, newest first.

    Those recorded ``before`` an entry, and ``without`` some kinds, if given.
    """
    column = tables.entries.c
    own = and_(column.team == ref.team, column.model == ref.model, column.kind.not_in(without))
    everything = and_(column.kind.in_((FROZEN, THAWED)), column.team == "", column.model == "")
    query = select(tables.entries).where(or_(own, everything)).order_by(column.entry_id.desc()).limit(limit)
    return ledger.selected(query if before is None else query.where(column.entry_id < before))


def of_cycle(ledger: Ledger, ref: ModelRef, cycle: str) -> list[Entry]:
    """Return what a cycle of a model did, oldest first: its reasons and the changes that it made."""
    column = tables.entries.c
    own = (column.team == ref.team, column.model == ref.model, column.cycle == cycle)
    query = select(tables.entries).where(*own, column.kind.in_((*REASONS, CHANGED))).order_by(column.entry_id)
    return ledger.selected(query)


def _came(changes: Sequence[Entry]) -> Entry:
    """Return the change by which the last one's stable version became stable."""
    came = changes[-1]
    for entry in reversed(changes):
        if (entry.details["stable"] or {}).get("version") != came.details["stable"]["version"]:
            break
        came = entry
    return came


def _why(ledger: Ledger, ref: ModelRef, at: datetime, cycles: Sequence[str], came: Entry) -> list[str]:
    told = [e for e in ledger.entries(ref, REASONS, until=at) if e.cycle in cycles]
    if came.details.get("back"):
        told.append(came)
    return [tell(entry) for entry in sorted(told, key=lambda entry: entry.entry_id or 0)]
