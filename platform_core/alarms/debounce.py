"""Debouncing of alarms: which notifications a notifier still has to send, without flapping; retries with backoff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.contracts.notifier import SEVERITIES

if TYPE_CHECKING:
    from loopline.platform_core.alarms.active_alarms import Standing
    from loopline.platform_core.contracts.notifier import Notifier

News = Literal["raised", "worse", "over", "came and went"]
STANDS: tuple[News, ...] = ("raised", "worse")
"""News of what still stands."""
RAISED_ANNOUNCEMENTS = ("raised", "informed")
"""What ``Delivery.announced`` is while people were last told that it is wrong."""
LONGEST_PAUSE = timedelta(hours=1)
"""Between two tries; what is due later than that was put off by a clock that has been put right since."""


@dataclass(frozen=True)
class Delivery:
    """What a notifier has said of a cause: that it is wrong, that it is ``over``, or "" for nothing (``announced``).

    That it is wrong is ``raised``, or ``informed`` when it was said as an information. ``episode`` is the one that was
    told last, at the ``level`` and with the ``severity`` that it had. ``attempts`` failed since; the next is due at
    ``next_at``. Times are the wall's.
    """

    announced: str = ""
    episode: int = 0
    told_at: datetime | None = None
    attempts: int = 0
    next_at: datetime | None = None
    level: int = 0
    severity: str = ""


def news(notifier: Notifier, one: Standing, delivery: Delivery, now: datetime) -> News | None:
    """Say what a notifier is still to tell of an alarm at this moment, None for nothing.

    Whoever was told that it is wrong is told when it is over, at once, even if it is no longer severe enough by then;
    but that an information no longer holds is no news. What is raised again within the cool-down is told only if it
    still stands behind it: a cause that flutters gives two messages a cool-down, not ten. What has got worse since it
    was told is told again, within the cool-down only if it is graver now.
    """
    if delivery.next_at is not None and now < delivery.next_at <= now + LONGEST_PAUSE:
        return None
    said = delivery.announced in RAISED_ANNOUNCEMENTS and delivery.episode == one.episode
    if one.until is not None and (said or delivery.announced == "raised"):
        return "over" if delivery.announced == "raised" or one.alarm.severity != "info" else None
    if not notifier.wants(one.alarm.severity, one.alarm.subject.team if one.alarm.subject else ""):
        return None
    cool_from = _cool_from(notifier, delivery, now)
    if said:
        due = one.until is None and one.level > delivery.level and not one.acknowledged
        return "worse" if due and (now >= cool_from or _is_graver(one, delivery)) else None
    if one.until is None:
        return "raised" if now >= cool_from and not one.acknowledged else None
    unsaid = one.episode > delivery.episode and one.since >= cool_from
    missed = timedelta(days=1) if delivery.attempts else timedelta(minutes=15)  # a notifier of today tells no history
    return "came and went" if unsaid and one.since > now - missed else None


def _is_graver(one: Standing, delivery: Delivery) -> bool:
    rank = SEVERITIES.index
    return delivery.severity in SEVERITIES and rank(one.alarm.severity) > rank(delivery.severity)


def pause(attempts: int, asked_seconds: float = 0) -> timedelta:
    """Return how long to wait after so many failed attempts: 15 s, doubled, or what was asked for; an hour at most."""
    return min(LONGEST_PAUSE, timedelta(seconds=max(asked_seconds, 15 * 2 ** min(attempts - 1, 10))))


def _cool_from(notifier: Notifier, delivery: Delivery, now: datetime) -> datetime:
    if delivery.told_at is None or delivery.told_at > now:
        return _EVER
    return delivery.told_at + timedelta(minutes=notifier.cooldown_minutes)


_EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
