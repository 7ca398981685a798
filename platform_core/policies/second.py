"""Four-eyes rule: an action is done when a second person asks for the same within a day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies.question import Asked

ASKED, SECONDED = "decision.asked", "decision.seconded"
"""What one person asked for, and that another one did the same: what was asked for is seconded once."""
HOURS = 24
_entry = tables.entries.c


def taken(platform: Platform, person: str, reason: str, asked: Asked, may: Callable[[str], bool]) -> bool:
    """Use up what another person asked for, where policies let this one do it then; else write down that this one did.

    One process does at a time, so that what was asked for once is done once.
    """
    now, ref, same = platform.clock.now(), _ref(asked), _digest(asked)
    with platform.ledger.writing(ref) as connection:
        standing = _standing(connection, ref, same, now)
        for entry_id, other in standing:
            if other.casefold() != person.casefold() and may(other):  # as the file of roles sees it
                details = {"asked": entry_id, "by": other, "same": same}
                append(connection, Entry(SECONDED, now, *ref, actor=person, reason=_said(asked), details=details))
                return True
        if person not in [other for _, other in standing]:
            said = f"{_said(asked)}: {reason}" if reason else _said(asked)
            append(connection, Entry(ASKED, now, *ref, actor=person, reason=said, details={"same": same}))
    return False


def _standing(connection: Connection, ref: ModelRef, same: str, now: datetime) -> list[tuple[int, str]]:
    """Return who asked for it of late, and was not seconded yet; the oldest first."""
    query = (
        select(_entry.entry_id, _entry.kind, _entry.actor, _entry.details)
        .where(_entry.team == ref.team, _entry.model == ref.model, _entry.kind.in_((ASKED, SECONDED)))
        .where(_entry.at > now - timedelta(hours=HOURS), _entry.at <= now)
        .order_by(_entry.entry_id)
    )
    found = [row for row in connection.execute(query) if row.details["same"] == same]
    used = {row.details["asked"] for row in found if row.kind == SECONDED}
    return [(row.entry_id, row.actor) for row in found if row.kind == ASKED and row.entry_id not in used]


def _ref(asked: Asked) -> ModelRef:
    team, _, model = asked.resource.name.partition("/")
    return ModelRef(team, model) if asked.resource.kind == "Model" else ModelRef("", "")


def _digest(asked: Asked) -> str:
    text = json.dumps([asked.action, asked.resource.kind, asked.resource.name, sorted(asked.about.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _said(asked: Asked) -> str:
    about = ", ".join(f"{name} {value}" for name, value in asked.about.items() if value)
    return f"{asked.action} of {asked.resource}" + (f" ({about})" if about else "")
