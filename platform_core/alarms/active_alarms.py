"""Active alarms: each is raised once, cleared once, and may be acknowledged; the ledger keeps all of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import replace as another
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select, update

from loopline.platform_core.alarms.alarm import ACKNOWLEDGED, CLEARED, RAISED, WORSE, Alarm
from loopline.platform_core.alarms.debounce import RAISED_ANNOUNCEMENTS
from loopline.platform_core.alarms.escalation import Worst
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append
from loopline.platform_core.redaction import redacted

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform

_column = tables.alarms.c


@dataclass(frozen=True)
class Standing:
    """An alarm as it stands, or as it last stood.

    ``since`` and ``until`` (None while it stands) are the wall's time; ``episode`` is the ledger entry of its raising;
    ``notified`` names the notifiers that have said so; ``acknowledged`` says who took it and why, "" for nobody.
    ``level`` counts how often it has got worse since, and ``worse`` says how it did last.
    """

    alarm: Alarm
    since: datetime
    until: datetime | None
    episode: int
    notified: tuple[str, ...] = ()
    acknowledged: str = ""
    level: int = 0
    worse: str = ""


def raise_alarm(platform: Platform, alarm: Alarm) -> bool:
    """Say that something is wrong; False while that cause stands already, whose words are then brought up to date.

    What has got much worse meanwhile is told again, and whoever had taken it on has not taken on that.
    """
    alarm = another(alarm, problem=redacted(alarm.problem), fix=redacted(alarm.fix))
    with platform.ledger.reading() as connection:
        row = _row(connection, alarm.cause)
    if row is not None and row["standing"] and _alarm(row) == alarm:
        return False  # the usual case takes no lock
    with platform.ledger.writing(_turn(alarm.cause)) as connection:
        row = _row(connection, alarm.cause)
        if row is not None and row["standing"]:
            _renew(connection, row, alarm, platform.clock.now())
            return False
        _raise(connection, alarm, platform.clock.now())
    return True


def clear(platform: Platform, cause: str, why: str = "all is well again") -> bool:
    """Say that it is over; False when the cause does not stand."""
    with platform.ledger.reading() as connection:
        row = _row(connection, cause)
    if row is None or not row["standing"]:
        return False
    with platform.ledger.writing(_turn(cause)) as connection:
        row = _row(connection, cause)
        if row is None or not row["standing"]:
            return False
        now = datetime.now(UTC)
        over = {"standing": False, "over_at": now}
        connection.execute(update(tables.alarms).where(_column.cause == cause).values(over))
        minutes = round((now - row["raised_at"]).total_seconds() / 60, 1)
        details = {"cause": cause, "episode": row["episode"], "minutes": minutes}
        entry = Entry(CLEARED, platform.clock.now(), row["team"], row["model"], reason=why, details=details)
        append(connection, entry)
    return True


def acknowledge(platform: Platform, cause: str, by: str, reason: str) -> Standing:
    """Take an alarm on: who and why is kept, and nobody else is told of it; it ends when all is well.

    Raises:
        Refused: nobody is named, or no reason given. NotFound: the cause does not stand.
    """
    signed(by, reason, "an acknowledgement")
    with platform.ledger.writing(_turn(cause)) as connection:
        row = _row(connection, cause)
        if row is None or not row["standing"]:
            raise NotFound(f"no alarm {cause!r} stands", "list those that do with 'loopline alarms list'")
        said = {"acknowledged": f"{by}: {reason}"}
        connection.execute(update(tables.alarms).where(_column.cause == cause).values(said))
        details = {"cause": cause, "episode": row["episode"]}
        entry = Entry(ACKNOWLEDGED, platform.clock.now(), row["team"], row["model"], "", "", by, reason, details)
        append(connection, entry)
        return _board(connection, _column.cause == cause)[0]


def standing(ledger: Ledger, prefix: str = "") -> list[Standing]:
    """List the alarms that stand, the oldest first; only causes that begin with ``prefix``."""
    with ledger.reading() as connection:
        found = _board(connection, _column.standing.is_(True))
    return [one for one in found if one.alarm.cause.startswith(prefix)]


def past(ledger: Ledger, since: datetime | None = None) -> list[Standing]:
    """List the causes that do not stand now, each as it last stood, the oldest first; those over since a time."""
    over = _column.standing.is_(False)
    with ledger.reading() as connection:
        return _board(connection, over if since is None else over & (_column.over_at > since))


def _board(connection: Connection, which: ColumnElement[bool]) -> list[Standing]:
    told: dict[str, list[str]] = {}
    delivery = tables.alarm_deliveries.c
    tellers = select(delivery.notifier, delivery.cause).join(tables.alarms, _column.cause == delivery.cause)
    tellers = tellers.where(which, delivery.told.in_(RAISED_ANNOUNCEMENTS)).order_by(delivery.notifier)
    for notifier, cause in connection.execute(tellers):
        told.setdefault(cause, []).append(notifier)
    rows = connection.execute(select(tables.alarms).where(which).order_by(_column.episode)).mappings().all()
    return [_standing(row, tuple(told.get(row["cause"], ()))) for row in rows]


def _standing(row: RowMapping, notified: tuple[str, ...]) -> Standing:
    worst = Worst.read(row["worst"])
    return Standing(
        alarm=_alarm(row),
        since=row["raised_at"],
        until=row["over_at"],
        episode=row["episode"],
        notified=notified,
        acknowledged=row["acknowledged"],
        level=row["level"],
        worse=worst.why if worst else "",
    )


def _raise(connection: Connection, alarm: Alarm, at: datetime) -> None:
    team, model = alarm.subject or ("", "")
    details = {"cause": alarm.cause, "severity": alarm.severity, "fix": alarm.fix, "link": alarm.link}
    episode = append(connection, Entry(RAISED, at, team, model, reason=alarm.problem, details=details))
    connection.execute(delete(tables.alarms).where(_column.cause == alarm.cause))
    fresh = {"standing": True, "episode": episode, "raised_at": datetime.now(UTC), "acknowledged": "", "level": 0}
    values = {"cause": alarm.cause, "worst": Worst.of(alarm).text, **_alarm_values(alarm), **fresh}
    connection.execute(insert(tables.alarms).values(values))


def _renew(connection: Connection, row: RowMapping, alarm: Alarm, at: datetime) -> None:
    """Bring the words of an alarm up to date; if it has got worse, say so once."""
    known = Worst.read(row["worst"]) or Worst.of(_alarm(row))
    worst = known.grown(alarm)
    values: dict[str, Any] = {**_alarm_values(alarm)}
    if worst.why:
        values |= {"level": row["level"] + 1, "acknowledged": "", "worst": worst.text}
        released = f"; no longer taken on by {row['acknowledged']}" if row["acknowledged"] else ""
        details = {
            "cause": alarm.cause,
            "severity": alarm.severity,
            "episode": row["episode"],
            "problem": alarm.problem,
        }
        append(connection, Entry(WORSE, at, *(alarm.subject or ("", "")), reason=worst.why + released, details=details))
    else:
        values |= {"worst": replace(worst, why=known.why).text}
    connection.execute(update(tables.alarms).where(_column.cause == alarm.cause).values(values))


def _turn(cause: str) -> ModelRef:
    """Return what writers of one cause take turns by."""
    return ModelRef("alarm", cause)


def _alarm_values(alarm: Alarm) -> dict[str, Any]:
    team, model = alarm.subject or ("", "")
    plain = {name: getattr(alarm, name) for name in ("severity", "problem", "fix", "link")}
    parts = json.dumps(alarm.parts) if alarm.parts else ""
    return plain | {"team": team, "model": model, "size": alarm.size, "parts": parts}


def _row(connection: Connection, cause: str) -> RowMapping | None:
    return connection.execute(select(tables.alarms).where(_column.cause == cause)).mappings().one_or_none()


def _alarm(row: RowMapping) -> Alarm:
    subject = ModelRef(row["team"], row["model"]) if row["team"] else None
    return Alarm(
        cause=row["cause"],
        severity=row["severity"],
        problem=row["problem"],
        fix=row["fix"],
        subject=subject,
        link=row["link"],
        size=row["size"],
        parts=tuple(json.loads(row["parts"])) if row["parts"] else (),
    )
