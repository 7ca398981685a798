"""The time by which the platform decides: the wall's, or the data's own when history is replayed."""

from __future__ import annotations

import abc
import os
from datetime import UTC, datetime
from pathlib import Path


class Clock(abc.ABC):
    """Tells the time, always with UTC attached."""

    @abc.abstractmethod
    def now(self) -> datetime:
        """Return the present instant in UTC."""


class WallClock(Clock):
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)


class ReplayClock(Clock):
    """The data's own time, read from a file that whoever replays moves on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def now(self) -> datetime:
        """Return the instant in the file; the machine's time while there is none."""
        try:
            return datetime.fromisoformat(self.path.read_text().strip())
        except FileNotFoundError:
            return datetime.now(UTC)

    def set(self, instant: datetime) -> None:
        """Move the clock, atomically for every process that reads it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(instant.astimezone(UTC).isoformat())
        draft.replace(self.path)
