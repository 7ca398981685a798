"""Clocks: the wall clock, or a replay clock that follows the data's own time."""

from __future__ import annotations

import abc
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loopline.platform_core.foundation.files import write

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SETTLED_NS = 100_000_000
_DAY = "YYYY-MM-DD"


def micros(instant: datetime) -> int:
    """Return an instant with a time zone as whole µs since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(micros: int) -> datetime:
    """Return the instant of so many µs since 1970, in UTC."""
    return _EPOCH + micros * _MICROSECOND


def dates(since: str, until: str) -> str:
    """Say from when to when (ISO 8601, "" where it is not known): in days, or in minutes within one day."""
    first, last = since[: len(_DAY)], until[: len(_DAY)]
    if first != last:
        return " to ".join(filter(None, (first, last)))
    minutes = [text[len(_DAY) + 1 : len(_DAY) + 6] for text in (since, until)]
    return f"{first} {minutes[0]} to {minutes[1]}" if all(minutes) else first


class Clock(abc.ABC):
    """Tells the time, always with UTC attached."""

    @abc.abstractmethod
    def now(self) -> datetime:
        """Return the present instant in UTC."""

    def now_us(self) -> int:
        """Return the present instant in µs since 1970."""
        return micros(self.now())


class WallClock(Clock):
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def now_us(self) -> int:
        """Return the machine's time without making an object of it."""
        return time.time_ns() // 1000


class ReplayClock(Clock):
    """The data's own time, read from a file that whoever replays moves on.

    The file is looked at each time and read only when it is another one, so that asking costs microseconds and is
    never behind. One so young that its time may hide a second change is read each time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, int], datetime] | None = None

    def now(self) -> datetime:
        """Return the instant in the file; the machine's time while there is none."""
        known = self._known
        try:
            if known is not None and known[0] == _state(self.path.stat()):
                return known[1]
            return self._read()
        except FileNotFoundError:
            return datetime.now(UTC)

    def _read(self) -> datetime:
        with self.path.open() as file:
            instant = datetime.fromisoformat(file.read().strip())
            found = os.fstat(file.fileno())
        settled = time.time_ns() - found.st_mtime_ns > _SETTLED_NS
        self._known = (_state(found), instant) if settled else None
        return instant

    def set(self, instant: datetime) -> None:
        """Move the clock, atomically for every process that reads it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write(self.path, instant.astimezone(UTC).isoformat().encode())


def chosen(replay: Path | None) -> Clock:
    """Return the clock of an environment: the one in its replay file, else the machine's."""
    return ReplayClock(replay) if replay else WallClock()


def _state(file: os.stat_result) -> tuple[int, int]:
    return file.st_ino, file.st_mtime_ns
