"""Landing prefix of one source: incremental listing of its objects as arrivals.

A look lists, and reads through only what the log does not have under its name with its size and ETag.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from loopline.platform_core.contracts.event_source import Arrival, as_set
from loopline.platform_core.foundation.clock import instant_of, micros
from loopline.resources.folder import file_kinds
from loopline.resources.object_store.arrival_pieces import ArrivalPieces, LoggedObject, ObjectState
from loopline.resources.object_store.objects import Found, Objects, at_once

WRITTEN_AT = ("mtime", "goog-reserved-file-mtime")
"""What is written beside an object that is a copy of a file: when the file was written (rclone, gsutil)."""
TOGETHER = 64
"""So many new objects become a piece of the log."""
READ_SECONDS = 20.0
"""For how long one look reads what is new; it goes on at the next one, before Dagster ends a sensor's look."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class LandingPrefix:
    """The objects below ``folder``; ``look`` lists them as arrivals.

    All of them are listed each ``list_all_seconds``. Between that ``names_grow`` lists only names that are greater than
    all that are known, and with ``told`` nothing is listed: who is told of new names calls ``take_named``.
    """

    objects: Objects
    folder: str
    log: ArrivalPieces
    list_all_seconds: float
    names_grow: bool = False
    told: bool = False
    _there: dict[str, LoggedObject] = field(default_factory=dict)
    _listed_at: float = float("-inf")
    _is_behind: bool = False

    def look(self, known: Collection[str]) -> list[Arrival]:
        """List what lies there, without those whose ids are known, oldest first."""
        self._there.update((each.name, each) for each in self.log.catch_up())
        if self._is_behind or time.monotonic() - self._listed_at >= self.list_all_seconds:
            self._list_all()
        elif self.names_grow and not self.told:
            self._take(self._listed(max(self._there, default="")))
        others = {each.arrival_id for each in self._there.values()} - as_set(known)
        found = [_arrival(each) for each in self._there.values() if each.arrival_id in others]
        return sorted(found, key=lambda arrival: (arrival.arrived_at, arrival.name))

    def take_named(self, names: Iterable[str]) -> None:
        """Look at objects of which somebody said that they are new."""
        self._there.update((each.name, each) for each in self.log.catch_up())
        keys = [f"{self.folder}/{name}" for name in sorted(set(names)) if _is_taken(name)]
        self._take([one for one in at_once(self.objects.found, keys) if one is not None])

    def list_next(self) -> None:
        """List everything at the next look."""
        self._listed_at = float("-inf")

    def _list_all(self) -> None:
        began, listed = time.monotonic(), self._listed()
        self._take(listed)
        there = {self._name(one): one for one in listed}
        self._there = {name: each for name, each in self._there.items() if name in there}
        self._listed_at = began

    def _listed(self, after: str = "") -> list[Found]:
        """List what is no draft, mark, or folder's own entry; ``after`` a name."""
        found = self.objects.listed(self.folder, after)
        return [one for one in found if _is_taken(name := self._name(one)) and (one.size or file_kinds.is_read(name))]

    def _name(self, one: Found) -> str:
        return one.key.removeprefix(f"{self.folder}/")

    def _take(self, listed: Iterable[Found]) -> None:
        """Take in what is new or another than it was, the oldest first, for as long as one look may take."""
        end, new = time.monotonic() + READ_SECONDS, []
        for one in listed:
            seen = self.log.known.get(self._name(one))
            if seen is not None and (seen.size, seen.etag) == (one.size, one.etag):
                self._there[seen.name] = seen
            elif file_kinds.is_read(one.key):
                new.append(one)
            else:
                self._there[self._name(one)] = self._unread(one)
        new.sort(key=lambda one: (one.written_at, one.key))
        self._is_behind = False
        for first in range(0, len(new), TOGETHER):
            self._is_behind = time.monotonic() > end
            if self._is_behind:
                return
            self._take_together(new[first : first + TOGETHER])

    def _take_together(self, new: Sequence[Found]) -> None:
        states = [state for state in at_once(self._state, new) if state is not None]
        states.sort(key=lambda state: (state.at, state.name))
        self.log.add(states)
        self._there.update((state.name, self.log.known[state.name]) for state in states)

    def _state(self, one: Found) -> ObjectState | None:
        """Read an object through; None if it is another by now, or gone."""
        summed = self.objects.summed(one.key)
        if summed is None or summed.etag != one.etag:
            return None
        at = micros(_written_at(summed.attributes) or one.written_at)
        return ObjectState(self._name(one), one.size, one.etag, at, summed.digest)

    def _unread(self, one: Found) -> LoggedObject:
        """Name what is not read for its rows by its name and state, so that it is refused as what it is."""
        name, at = self._name(one), micros(one.written_at)
        digest = hashlib.sha256(f"{name}\n{one.size}\n{one.etag}".encode()).hexdigest()
        return LoggedObject(name, one.size, one.etag, at, digest, digest)


def _is_taken(name: str) -> bool:
    """Say whether neither an object nor a folder of its path is a draft, or hidden as Spark hides them."""
    *folders, last = name.split("/")
    is_hidden = any(each[:1] in {".", "_"} and "=" not in each for each in folders)
    return bool(last) and not is_hidden and file_kinds.is_taken(last)


def _written_at(attributes: object) -> datetime | None:
    """Return when the file of which an object is a copy was written, if somebody wrote that beside it."""
    assert isinstance(attributes, dict)
    for name in WRITTEN_AT:
        try:
            return _EPOCH + timedelta(seconds=float(attributes[name]))
        except (KeyError, ValueError, OverflowError):
            continue
    return None


def _arrival(seen: LoggedObject) -> Arrival:
    return Arrival(seen.arrival_id, seen.name, instant_of(seen.at), seen.digest)
