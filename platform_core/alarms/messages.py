"""Notification messages made from alarms; a message that is sent again keeps its id (idempotency key)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.alarms.debounce import STANDS, News
from loopline.platform_core.alarms.pages import alarms_page
from loopline.platform_core.contracts.notifier import SEVERITIES, Message

if TYPE_CHECKING:
    from loopline.platform_core.alarms.active_alarms import Standing

NAMED = 20
"""Alarms that a summary names; the rest it counts."""


def message(notifier: str, one: Standing, what: News, note: str = "") -> Message:
    """Make the message of one alarm."""
    alarm = one.alarm
    late = "it came and went before this could be told" if what == "came and went" else ""
    return Message(
        message_id=_digest(
            notifier, alarm.cause, str(one.episode), *([what, str(one.level)] if what == "worse" else [what])
        ),
        what="over" if what == "came and went" else what,
        severity=alarm.severity,
        cause=alarm.cause,
        problem=alarm.problem,
        fix=alarm.fix if what in STANDS else "nothing: it is over",
        since=one.since,
        until=one.until,
        subject=alarm.about,
        link=alarm.link or alarms_page(),
        note="; ".join(part for part in (_grown(one, what), note, late) if part),
    )


def summary(notifier: str, withheld: Sequence[tuple[Standing, News]], budget: int) -> Message:
    """Make the one message of everything that the day's budget keeps back."""
    standing = sum(what in STANDS for _, what in withheld)
    lines = [
        f"{_state(what)} {one.alarm.about or 'the platform'}: {one.alarm.problem}" for one, what in withheld[:NAMED]
    ]
    lines += [f"and {len(withheld) - NAMED} more"] if len(withheld) > NAMED else []
    told = ",".join(f"{one.episode}{what}{one.level or ''}" for one, what in withheld)
    return Message(
        message_id=_digest(notifier, "summary", told),
        what="summary",
        severity=max((one.alarm.severity for one, _ in withheld), key=SEVERITIES.index),
        cause="summary",
        problem=f"{standing} more alarms stand and {len(withheld) - standing} are over\n" + "\n".join(lines),
        fix="see them with 'loopline alarms list'",
        since=min(one.since for one, _ in withheld),
        note=f"{budget} messages were sent in 24 hours, the budget; until there is room, news come as one an hour",
    )


def _state(what: News) -> str:
    return f"[{what}]" if what in STANDS else "[over]"


def _grown(one: Standing, what: News) -> str:
    return f"told again: {one.worse}" if what == "worse" else ""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
