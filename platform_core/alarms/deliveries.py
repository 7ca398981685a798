"""Table of alarm deliveries: what each notifier was told, the lease of its sender, and when the next retry is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from loopline.platform_core.alarms.alarm import NOTIFIED, SILENCED
from loopline.platform_core.alarms.debounce import LONGEST_PAUSE, STANDS, Delivery, News
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append

if TYPE_CHECKING:
    from loopline.platform_core.alarms.active_alarms import Standing
    from loopline.platform_core.contracts.notifier import Message
    from loopline.platform_core.loop.ledger.ledger import Ledger

LEASE = timedelta(minutes=2)
"""How long a message that is being sent is nobody else's; longer than any notifier may take."""
DAY = timedelta(days=1)
LOOKED_BACK = 2000
"""Messages of all notifiers among which those of the last day are counted."""
_column = tables.alarm_deliveries.c


@dataclass(frozen=True)
class Post:
    """One notifier's book."""

    ledger: Ledger
    notifier: str

    def deliveries(self, causes: Sequence[str]) -> dict[str, Delivery]:
        """Return what was said of these causes."""
        names = ("episode", "told_at", "attempts", "next_at", "level", "severity")
        with self.ledger.reading() as connection:
            own = select(tables.alarm_deliveries).where(_column.notifier == self.notifier, _column.cause.in_(causes))
            rows = connection.execute(own).mappings().all()
        return {row["cause"]: Delivery(row["told"], **{name: row[name] for name in names}) for row in rows}

    def claim(self, cause: str, known: Delivery | None, now: datetime) -> bool:
        """Take a message in hand; False when another process has it, or has told something since ``known`` was read."""
        free = or_(_column.next_at.is_(None), _column.next_at <= now, _column.next_at > now + LONGEST_PAUSE)
        with self.ledger.writing() as connection:
            if known is None:
                return self._insert(connection, cause, {"attempts": 0, "next_at": now + LEASE, "problem": ""})
            same = (
                (_column.told == known.announced) & (_column.episode == known.episode) & (_column.level == known.level)
            )
            taken = update(tables.alarm_deliveries).where(self._own(cause), same, free).values(next_at=now + LEASE)
            return bool(connection.execute(taken).rowcount)

    def record_delivery(
        self, message: Message, news: Sequence[tuple[Standing, News]], at: datetime, now: datetime
    ) -> None:
        """Write down what a delivered message told; ``at`` is the platform's clock, ``now`` the wall's."""
        settled = {"told_at": now, "attempts": 0, "next_at": None, "problem": ""}
        with self.ledger.writing() as connection:
            for one, what in news:
                known = {"level": one.level, "severity": one.alarm.severity}
                said = {"told": _delivery_state(one, what), "episode": one.episode, **known}
                own = update(tables.alarm_deliveries).where(self._own(one.alarm.cause))
                connection.execute(own.values(said | settled))
            append(
                connection, self._entry(message, news, at, now), once=f"{NOTIFIED}:{self.notifier}:{message.message_id}"
            )

    def postpone(self, until: Mapping[str, datetime], problem: str) -> None:
        """Count a failed attempt for causes, each with the time of its next try."""
        with self.ledger.writing() as connection:
            for cause, next_at in until.items():
                failed = {"next_at": next_at, "problem": problem}
                if not self._insert(connection, cause, failed | {"attempts": 1}):
                    own = update(tables.alarm_deliveries).where(self._own(cause))
                    connection.execute(own.values(failed | {"attempts": _column.attempts + 1}))

    def spent(self, now: datetime) -> tuple[int, datetime | None]:
        """Return how many messages went out in 24 hours without summaries, and when the last summary did."""
        singles, summed_at = 0, None
        for entry in self.ledger.entries(kinds=[NOTIFIED], newest_first=True, limit=LOOKED_BACK):
            sent_at = datetime.fromisoformat(entry.details["told_at"])
            if entry.details["notifier"] != self.notifier or not now - DAY < sent_at <= now:
                continue
            if entry.details["what"] == "summary":
                summed_at = summed_at or sent_at
            else:
                singles += 1
        return singles, summed_at

    def _insert(self, connection: Connection, cause: str, values: Mapping[str, Any]) -> bool:
        """Begin the book of a cause; False when it is there."""
        own = {"notifier": self.notifier, "cause": cause, "told": "", "episode": 0, "level": 0, "severity": ""}
        if connection.scalar(select(_column.cause).where(self._own(cause))) is not None:
            return False
        try:
            with connection.begin_nested():
                connection.execute(insert(tables.alarm_deliveries).values({**own, **values}))
        except IntegrityError:  # another process was faster
            return False
        return True

    def _entry(self, message: Message, news: Sequence[tuple[Standing, News]], at: datetime, now: datetime) -> Entry:
        subject = news[0][0].alarm.subject if len(news) == 1 else None
        details = {
            "notifier": self.notifier,
            "what": message.what,
            "message": message.message_id,
            "told_at": now.isoformat(),
            "causes": [one.alarm.cause for one, _ in news],
        }
        return Entry(NOTIFIED, at, *(subject or ("", "")), reason=message.title, details=details)

    def _own(self, cause: str) -> ColumnElement[bool]:
        return (_column.notifier == self.notifier) & (_column.cause == cause)


def _delivery_state(one: Standing, what: News) -> str:
    if what not in STANDS:
        return "over"
    return "informed" if one.alarm.severity == "info" else "raised"


def silence(ledger: Ledger, one: Standing, why: str, at: datetime) -> None:
    """Write down, once an episode, why nobody is told."""
    details = {"cause": one.alarm.cause, "episode": one.episode}
    entry = Entry(SILENCED, at, *(one.alarm.subject or ("", "")), reason=why, details=details)
    ledger.record(entry, once=f"{SILENCED}:{one.episode}")


def why_silenced(ledger: Ledger, one: Standing) -> str:
    """Return why an episode was kept back for a while, "" when it was not."""
    if one.alarm.subject is None:
        return ""
    entries = ledger.entries(one.alarm.subject, [SILENCED], newest_first=True, limit=20)
    return next((entry.reason for entry in entries if entry.details["episode"] == one.episode), "")
