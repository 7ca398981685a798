"""Storage quota: counts the bytes that the environment keeps, and whether there is room for more.

Listing a lake for each write would cost more than the write. So what lies there is measured now and then, and what is
written in between is counted by its size in memory, which is more than it takes in a file. The count is a file of this
home that its processes lock, so that two writers at the border do not both find the last room. Another machine's
writes are seen when what lies there is measured next.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from loopline.platform_core.errors import QuotaReached, StoreUnavailable
from loopline.platform_core.quota_settings import size

FILE = "storage.json"
OLD_SECONDS = 60.0
RESTS = 20
"""How many times as long as it took a measurement holds at least, also where there seems to be no room."""
UNDER_WAY_SECONDS = 3600.0
"""A write that has not ended by then has died unseen."""
RETRY_SECONDS = 60.0
Measures = Mapping[str, Callable[[], int | None]]
"""By the name of a binding, what it keeps (bytes); None where it cannot tell."""


class Part(msgspec.Struct):
    """What one binding keeps, None where it cannot tell: found at ``at`` (s since 1970) within ``took`` seconds."""

    size_bytes: int | None
    at: float
    took: float


class UnderWay(msgspec.Struct):
    """A write that has begun: its bytes, since when, and by which process."""

    size_bytes: int
    at: float
    pid: int


class Refused(msgspec.Struct):
    """The last write for which there was no room, at which limit."""

    at: float
    limit: int


class Count(msgspec.Struct):
    """What the file holds: ``written`` is what ended since the lake was measured, by its size in memory."""

    parts: dict[str, Part] = {}
    written: int = 0
    refused: Refused | None = None
    under_way: dict[str, UnderWay] = {}

    @property
    def used(self) -> int:
        """Return how many bytes are used, as far as is known."""
        measured = sum(part.size_bytes or 0 for part in self.parts.values())
        return measured + self.written + sum(one.size_bytes for one in self.under_way.values())


@dataclass(frozen=True)
class Storage:
    """The environment's storage: ``folder`` holds the count, ``measures`` tell what lies there, by binding."""

    folder: Path
    limit: int
    measures: Measures
    now: Callable[[], float] = time.time

    @contextmanager
    def writing(self, what: str, size_bytes: int) -> Iterator[None]:
        """Hold room for a write while it is under way.

        Raises:
            QuotaReached: there is none; nothing was written. StoreUnavailable: the count cannot be kept.
        """
        name = uuid4().hex
        with self._counted() as count:
            try:
                self._find_room(count, f"{what} ({size(size_bytes)})", size_bytes)
            except QuotaReached:
                count.refused = Refused(self.now(), self.limit)
                raise
            count.under_way[name] = UnderWay(size_bytes, self.now(), os.getpid())
        written = 0
        try:
            yield
            written = size_bytes
        finally:
            # what is written is written: a count that cannot be kept now holds its room until this process is gone
            with suppress(StoreUnavailable), self._counted() as count:
                if count.under_way.pop(name, None) is not None:
                    count.written += written

    def refuse_full(self, what: str) -> None:
        """Refuse to begin what will write, where there is no room, or was none for another write a moment ago.

        Raises:
            QuotaReached: there is none. StoreUnavailable: the count cannot be kept.
        """
        with self._counted() as count:
            last, asked = count.refused, 1
            if last is not None and last.limit == self.limit and 0 <= self.now() - last.at < RETRY_SECONDS:
                asked = self.limit + 1  # it would fail in its midst, again and again
            self._find_room(count, what, asked)

    def count(self) -> Count:
        """Return what is used, measured anew if that was a while ago."""
        with self._counted() as count:
            self._measure(count, OLD_SECONDS)
            return count

    def changed(self) -> None:
        """Let the lake be measured at the next look: something was taken out of it."""
        with suppress(StoreUnavailable), self._counted() as count:
            count.refused = None
            if "lake" in count.parts:
                count.parts["lake"].at = 0.0

    def _find_room(self, count: Count, what: str, size_bytes: int) -> None:
        self._forget_dead(count)
        self._measure(count, OLD_SECONDS)
        if count.used + size_bytes > self.limit:
            self._measure(count, 0.0)  # something may have gone, and a file is smaller than its rows in memory
        if count.used + size_bytes > self.limit:
            raise QuotaReached(
                f"there is no room for {what}: {size(count.used)} of {size(self.limit)} are used",
                "let old rows and versions go (retention_days, 'loopline lake tidy'); whoever runs the environment "
                "raises quotas.storage_bytes",
                RETRY_SECONDS,
            )

    def _measure(self, count: Count, seconds: float) -> None:
        """Measure what was measured longer ago than that, but no part again and again that takes long."""
        for name, measure in self.measures.items():
            part, now = count.parts.get(name), self.now()
            if part is not None and 0 <= now - part.at < max(seconds, RESTS * part.took):
                continue
            began = time.monotonic()
            found = _measured(name, measure)
            count.parts[name] = Part(found, now, time.monotonic() - began)
            count.written = 0 if name == "lake" else count.written

    def _forget_dead(self, count: Count) -> None:
        """Drop writes of processes that died: what they wrote is measured."""
        now = self.now()
        dead = [name for name, one in count.under_way.items() if not _lives(one, now)]
        for name in dead:
            del count.under_way[name]
        if dead and "lake" in count.parts:
            count.parts["lake"].at = 0.0

    @contextmanager
    def _counted(self) -> Iterator[Count]:
        """Have the count to oneself; what a killed process left half written is begun anew."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._uncounted(error) from error
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            count = _read(file.read())
            try:
                yield count
            finally:
                written = msgspec.json.encode(count)
                try:
                    file.seek(0)
                    file.write(written)
                    file.truncate()
                    file.flush()
                except OSError as error:
                    raise self._uncounted(error) from error

    def _uncounted(self, error: OSError) -> StoreUnavailable:
        said = f"what the environment keeps cannot be counted in {self.folder}: {error.strerror}"
        return StoreUnavailable(said, "free the disk, and let this user write to the folder")


def _measured(name: str, measure: Callable[[], int | None]) -> int | None:
    try:
        return measure()
    except OSError as error:
        said = f"what {name} keeps cannot be told: {error}"
        raise StoreUnavailable(said, "let this user read its folder") from error


def last(folder: Path) -> Count:
    """Return what was counted last, without measuring anything."""
    try:
        return _read((folder / FILE).read_bytes())
    except OSError:
        return Count()


def _read(text: bytes) -> Count:
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(text, type=Count)
    return Count()


def _lives(one: UnderWay, now: float) -> bool:
    """Say whether a write may still come to its end."""
    if now - one.at >= UNDER_WAY_SECONDS:
        return False
    try:
        os.kill(one.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
