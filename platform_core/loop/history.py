"""Deployment history: what was live at a moment and why, and a model's story, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop.deployments.deployments import CHANGED, served
from loopline.platform_core.loop.freezes import EVERYTHING, FROZEN, THAWED
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import merged
from loopline.platform_core.loop.sentences import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

_entry = tables.entries.c
REASONS = (
    "cycle.opened",
    "cycle.reopened",
    "cycle.doubted",
    "cycle.went_on",
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
    "image.started",
    "image.promoted",
    "image.rolled_back",
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


def story(
    ledger: Ledger, ref: ModelRef, until: datetime | None = None, without: Sequence[str] = ()
) -> list[StoryEntry]:
    """Tell what happened to a model, ``without`` some kinds, and the freezes of all, in the order of its recording."""
    queries = _queries(ledger, ref, without)
    if until is not None:
        queries = [query.where(_entry.at <= until) for query in queries]
    return [StoryEntry(entry, tell(entry)) for entry in ledger.selected(merged(queries))]


def newest(
    ledger: Ledger, ref: ModelRef, limit: int, before: int | None = None, without: Sequence[str] = ()
) -> list[Entry]:
    """Return the last entries of a model and the freezes of all, newest first.

    Those recorded ``before`` an entry, and ``without`` some kinds, if given.
    """
    queries = _queries(ledger, ref, without)
    if before is not None:
        queries = [query.where(_entry.entry_id < before) for query in queries]
    return ledger.selected(merged(queries, limit, newest_first=True))


def of_cycle(ledger: Ledger, ref: ModelRef, cycle: str) -> list[Entry]:
    """Return what a cycle of a model did, oldest first: its reasons and the changes that it made."""
    return ledger.selected(merged([_of(ref, kind).where(_entry.cycle == cycle) for kind in (*REASONS, CHANGED)]))


def _queries(ledger: Ledger, ref: ModelRef, without: Sequence[str]) -> list[Select[Any]]:
    """Ask for each kind by itself where some are left out: most of what a model has ever told may be of these."""
    kinds = [kind for kind in ledger.kinds(ref) if kind not in without] if without else [None]
    return [_of(ref, kind) for kind in kinds] + [_of(EVERYTHING, kind) for kind in (FROZEN, THAWED)]


def _of(ref: ModelRef, kind: str | None) -> Select[Any]:
    query = select(tables.entries).where(_entry.team == ref.team, _entry.model == ref.model)
    return query if kind is None else query.where(_entry.kind == kind)


def _came(changes: Sequence[Entry]) -> Entry:
    """Return the change by which the last one's stable version became stable."""
    came = changes[-1]
    for entry in reversed(changes):
        if (entry.details["stable"] or {}).get("version") != came.details["stable"]["version"]:
            break
        came = entry
    return came


def _why(ledger: Ledger, ref: ModelRef, at: datetime, cycles: Sequence[str], came: Entry) -> list[str]:
    known = [_of(ref, kind).where(_entry.at <= at, _entry.cycle.in_(cycles)) for kind in REASONS]
    told = ledger.selected(merged(known))
    if came.details.get("back"):
        told.append(came)
    return [tell(entry) for entry in sorted(told, key=lambda entry: entry.entry_id or 0)]
