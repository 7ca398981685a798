"""Freeze switch: stops new cycles and rollout steps until a person thaws it; rollback stays possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry, newest

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger

FROZEN = "loop.frozen"
THAWED = "loop.thawed"
EVERYTHING = ModelRef("", "")
"""Under which a freeze of all models is recorded."""


def freeze(ledger: Ledger, ref: ModelRef | None, actor: str, reason: str, now: datetime) -> Entry:
    """Stop new cycles and forward steps of rollouts, for one model or (None) for all.

    Raises:
        Refused: nobody is named, or no reason given.
    """
    return _switch(ledger, Entry(FROZEN, now, *(ref or EVERYTHING), actor=actor, reason=reason))


def thaw(ledger: Ledger, ref: ModelRef | None, actor: str, reason: str, now: datetime) -> Entry:
    """Let the loop turn again; a freeze of everything and one of a model are thawed each by itself.

    Raises:
        Refused: nobody is named, or no reason given.
    """
    return _switch(ledger, Entry(THAWED, now, *(ref or EVERYTHING), actor=actor, reason=reason))


def frozen(ledger: Ledger, ref: ModelRef) -> Entry | None:
    """Return the entry that freezes a model, its own or everybody's; None when it is free."""
    with ledger.reading() as connection:
        return frozen_by(connection, ref)


def frozen_by(connection: Connection, ref: ModelRef) -> Entry | None:
    """Return the entry that freezes a model, inside a transaction."""
    return own(connection, EVERYTHING) or own(connection, ref)


def own(connection: Connection, scope: ModelRef) -> Entry | None:
    """Return the entry that freezes a model by itself, or ``EVERYTHING``: each is thawed by itself."""
    last = newest(connection, scope, (FROZEN, THAWED))
    return last if last is not None and last.kind == FROZEN else None


def refuse_if_frozen(connection: Connection, ref: ModelRef) -> None:
    """Raise ``Refused`` when a model is frozen."""
    entry = frozen_by(connection, ref)
    if entry is not None:
        what = "everything" if entry.team == "" else str(ref)
        raise Refused(f"{what} is frozen by {entry.actor}: {entry.reason}", "thaw it when the reason is gone")


def signed(person: str, reason: str, what: str) -> None:
    """Hold a decision to its author: the ledger must say who and why.

    Raises:
        Refused: nobody is named, or no reason given.
    """
    if not person.strip() or not reason.strip():
        raise Refused(f"{what} names no person or no reason", "say who decides, and why")


def _switch(ledger: Ledger, entry: Entry) -> Entry:
    signed(entry.actor, entry.reason, "a freeze" if entry.kind == FROZEN else "a thaw")
    ledger.record(entry)
    return entry
