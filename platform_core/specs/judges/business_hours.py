"""Business hours: the hours of a week in which a rollout may advance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = "Mon-Fri 09:00-17:00 Europe/London"
_TIME = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class BusinessHours:
    """Days of the week (0 is Monday) and minutes of the day (from one, up to but without the other) in a place."""

    days: frozenset[int]
    opens: int
    closes: int
    zone: ZoneInfo

    def contain(self, at: datetime) -> bool:
        """Say whether an instant is within the hours, by the clock on the wall of the place."""
        local = at.astimezone(self.zone)
        return local.weekday() in self.days and self.opens <= local.hour * 60 + local.minute < self.closes

    def next_opening(self, at: datetime) -> datetime:
        """Return the first opening after an instant, in UTC."""
        local = at.astimezone(self.zone)
        days = (local.date() + timedelta(days=ahead) for ahead in range(9))
        hour, minute = divmod(self.opens, 60)
        openings = (
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).astimezone(UTC)
            for day in days
            if day.weekday() in self.days
        )
        return next(opening for opening in openings if opening > at)


@cache
def business_hours(text: str) -> BusinessHours:
    """Read ``Mon-Fri 09:00-17:00 Europe/London``: days, hours and a zone of the IANA database.

    Days are joined by commas, a range may go over Sunday; the end may be 24:00.

    Raises:
        InvalidSpec: it is written otherwise, the hours end before they begin, or nobody knows the zone.
    """
    parts = text.split()
    if len(parts) != 3:  # noqa: PLR2004 - days, hours, zone
        raise InvalidSpec(f"hours {text!r} are not days, times and a zone", f"write them as {EXAMPLE!r}")
    days, times, zone = parts
    opens, closes = _minutes(times)
    return BusinessHours(_days(days), opens, closes, _zone(zone))


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS or part.endswith("-"):
            raise InvalidSpec(f"{part!r} names no days", f"days are {', '.join(DAYS)}, as in 'Mon-Thu,Sat'")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {(begin + ahead) % 7 for ahead in range((end - begin) % 7 + 1)}
    return frozenset(found)


def _minutes(text: str) -> tuple[int, int]:
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidSpec(f"{text!r} are no times", "write them as 09:00-17:00")
    begin_hour, begin, end_hour, end = map(int, match.groups())
    opens, closes = begin_hour * 60 + begin, end_hour * 60 + end
    if max(begin, end) >= 60 or closes > _DAY_MINUTES:  # noqa: PLR2004 - minutes
        raise InvalidSpec(f"{text!r} is no time of a day", "hours go from 00:00 to 24:00")
    if opens >= closes:
        raise InvalidSpec(f"{text!r} ends before it begins", "a night is two days: choose hours within one")
    return opens, closes


def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        problem = f"no zone {name!r} in the IANA time zone database"
        raise InvalidSpec(problem, "name one such as 'Europe/London' or 'UTC'") from error
