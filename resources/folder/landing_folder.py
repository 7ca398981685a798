"""Landing folder of one source: incremental listing of its files as arrivals.

A look costs what is new, not what is there. Names are listed when the folder's own modification time has changed; of
the files it knows, it looks at the last ones; and at all of them, and all names, once in a while, for a file that was
written anew in its place and for a file system whose folders do not say when they changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from loopline.platform_core.contracts.event_source import Arrival, KnownIds, as_set
from loopline.resources.folder import file_kinds, settled
from loopline.resources.folder.arrival_log import ArrivalLog, FileState, LoggedFile
from loopline.resources.folder.settled import NUL, Settled

FEW, SWEEP_SECONDS = 100, 30.0
"""So many files, the last that came, are looked at each time; all of them once in a while, by whichever process."""
NEW_IDS, MOST_OPEN, MOST_FOREIGN = 16, 100, 1_000
"""After so many new ids it is written down anew what is settled; and with how many that wait, or are of no file."""
SWEPT = ".arrivals.swept"
"""Beside the files: its modification time says when a process last looked at all of them."""
PROBE = ".arrivals.probe"
"""Beside the files: written for no more than its modification time, which is now by the clock that dates files here."""
UNKNOWN = 0
"""What time it is there, where the probe cannot be written."""
GRAIN_SECONDS = 3.0
"""File systems date a folder by seconds or two; what changed just now may change again at the same time."""
State = tuple[int, int]
"""Size and modification time (ns)."""


@dataclass
class LandingFolder:
    """The files of a folder; ``look`` lists them as arrivals."""

    path: Path
    still_seconds: float
    log: ArrivalLog = field(init=False)
    _prefix: str = field(init=False)
    _files: dict[str, LoggedFile] = field(default_factory=dict)
    _moving: dict[str, tuple[State, float]] = field(default_factory=dict)
    _answered: tuple[Collection[str], Sequence[Arrival]] | None = None
    _listed_at_ns: int = -1
    _swept_at: float = float("-inf")
    _now_ns: int | None = None
    _settled: Settled | None = None
    _settled_names: set[str] = field(default_factory=set)
    _settled_there: set[str] = field(default_factory=set)
    _is_settled: bool = False

    def __post_init__(self) -> None:
        """Begin with what other processes have seen."""
        self.log, self._prefix = ArrivalLog(self.path), f"{self.path}/"

    def look(self, known: Collection[str] = ()) -> list[Arrival]:
        """List what lies there, without those whose ids are known, oldest first."""
        is_first, self._now_ns = self._swept_at == float("-inf"), None
        begins = self._begins()
        if self._settled is not None and not self._resumes(known):
            self._read_whole()
        told = self.log.catch_up()
        if self._settled is not None and self._is_in_doubt(told):
            self._read_whole()
        if begins:
            self._files = dict(self.log.known)
            new = self._new_names()
        elif time.monotonic() - self._swept_at >= SWEEP_SECONDS:
            new = self._sweep()
        else:
            new = self._new_names() | (self._files.keys() & {seen.name for seen in told})
        self._take({*new, *self._moving, *islice(reversed(self._files), FEW)})
        if is_first and self._now_ns == UNKNOWN:  # who looks but once would never see twice that a file is still
            time.sleep(self.still_seconds)
            self._take([*self._moving])
        if self._settled is not None and not self.log.is_partial:
            self._read_whole()
            return self.look(known)
        found = [*self._without(known if self._settled is None else self._known_since(known))]
        self._settle(known)
        return found

    def settled_mark(self) -> str:
        """Return up to where it is known what landed, by whoever wrote it down, for a process that begins; else ""."""
        if self._settled is None and self._swept_at == float("-inf"):
            self._settled = settled.read(self.path)
            if self._settled is not None:
                self._settled_names = self._settled_there = self._settled.names
                self.log.resume(self._settled.offset, [*self._settled.open, *self._settled.last])
        return self._settled.mark if self._settled is not None else ""

    def _resumes(self, known: Collection[str]) -> bool:
        """Say whether what is settled and these ids say all, and every file need not be looked at."""
        if self._settled is None or not isinstance(known, KnownIds):
            return False
        is_due = time.monotonic() - self._swept_at >= SWEEP_SECONDS
        return not is_due and known.since == self._settled.mark and len(known.newer) <= NEW_IDS

    def _is_in_doubt(self, told: Sequence[LoggedFile]) -> bool:
        """Say whether a file that had come before was touched, or came again: its id may be one that is settled."""
        if not told or self._settled is None:
            return False
        ids = {seen.arrival_id for seen in (*self._settled.open, *self._settled.last)}
        return not {seen.name for seen in told if seen.arrival_id not in ids}.isdisjoint(self._settled_names)

    def _known_since(self, known: Collection[str]) -> AbstractSet[str]:
        """Return all ids of these files, of the settled ones' last and of foreign ones, that are known."""
        assert self._settled is not None
        assert isinstance(known, KnownIds)
        last = {seen.arrival_id for seen in self._settled.last} - {seen.arrival_id for seen in self._settled.open}
        return frozenset(last | self._settled.foreign | known.newer)

    def _read_whole(self) -> None:
        """Go on from the whole log, as a process does for which nothing is settled."""
        self._settled, self._answered, self._listed_at_ns = None, None, -1
        self._settled_names = self._settled_there = set()
        self.log.complete()
        self._files = dict(self.log.known)

    def _settle(self, known: Collection[str]) -> None:
        """Write down once what is settled now, for processes that begin later."""
        if self._is_settled or self._settled is not None or not isinstance(known, KnownIds):
            return
        if not known.mark or not self.log.is_whole_on_disk:
            return
        self._is_settled, every = True, self.log.known.values()
        ids = {seen.arrival_id for seen in every}
        waiting, foreign = ids - as_set(known), set(known) - ids - self.log.contents
        end = settled.tail(self.path, self.log.offset)
        if end is not None and len(waiting) <= MOST_OPEN and len(foreign) <= MOST_FOREIGN:
            waits = [seen for seen in every if seen.arrival_id in waiting]
            last = [
                seen for seen in islice(reversed(self._files.values()), FEW) if self.log.known.get(seen.name) is seen
            ]
            found = Settled(known.mark, self.log.offset, end, NUL.join(self.log.known), waits, last[::-1], foreign)
            settled.write(self.path, found)

    def _without(self, known: Collection[str]) -> Sequence[Arrival]:
        """Return the arrivals that are not known, oldest first; asked again when nothing changed, those of before."""
        if self._answered is None or self._answered[0] != known:
            others = {seen.arrival_id for seen in self._files.values()} - as_set(known)
            found = [_arrival(seen) for seen in self._files.values() if seen.arrival_id in others] if others else []
            found.sort(key=lambda arrival: (arrival.arrived_at, arrival.name))
            if not isinstance(known, Hashable):
                return found
            self._answered = (known, found)
        return self._answered[1]

    def _begins(self) -> bool:
        """Say whether this is the first look of a process, and another process has looked at every file just now."""
        if self._swept_at > float("-inf"):
            return False
        with contextlib.suppress(OSError):
            ago = time.time() - (self.path / SWEPT).stat().st_mtime
            if 0 <= ago < SWEEP_SECONDS:
                self._swept_at = time.monotonic() - ago
                return True
        return False

    def _sweep(self) -> set[str]:
        """Return every name, so that each file is looked at, and tell other processes that it is."""
        self._swept_at, self._listed_at_ns = time.monotonic(), -1
        new = self._new_names()
        with contextlib.suppress(OSError):
            (self.path / SWEPT).touch()
        return new | self._files.keys()

    def _new_names(self) -> set[str]:
        """Return names that were not there, and forget those that are gone; none while the folder stays as it was."""
        changed_ns = -1
        with contextlib.suppress(OSError):
            changed_ns = self.path.stat().st_mtime_ns
            if changed_ns == self._listed_at_ns:
                return set()
        is_past = time.time() - changed_ns / 1e9 > GRAIN_SECONDS
        self._listed_at_ns = changed_ns if is_past else -1
        there = _listed(self.path)
        others = {name for name in there if name not in self._settled_there}
        if len(there) - len(others) < len(self._settled_there):
            self._settled_there = self._settled_there.intersection(there)
        for gone in self._files.keys() - others - self._settled_there:
            del self._files[gone]
            self._answered = None
        return set(filter(file_kinds.is_taken, others.difference(self._files)))

    def _take(self, names: Iterable[str]) -> None:
        """Take in files that are new or another than they were, once they are still."""
        states = {name: state for name in names if (state := self._state(name)) is not None}
        changed = [name for name, state in states.items() if not _is(self._files.get(name), state)]
        changed.sort(key=lambda name: (states[name][1], name))
        digests = {name: digest for name in changed if (digest := self._digest(name, states[name])) is not None}
        self.log.add([FileState(name, *states[name], digest) for name, digest in digests.items()])
        for name in changed:
            self._answered = None
            self._files.pop(name, None)  # it is among the last that came
            self._files[name] = self.log.known[name] if name in digests else _unread(name, states[name])

    def _state(self, name: str) -> State | None:
        """Look at a file; None while it is being written, or when it is gone."""
        try:
            at = os.stat(self._prefix + name)  # noqa: PTH116 - a Path costs more than the look
        except OSError:
            self._moving.pop(name, None)
            return None
        state, seen = (at.st_size, at.st_mtime_ns), self.log.known.get(name)
        if (seen is not None and (seen.size, seen.mtime_ns) == state) or self._is_still(name, state, at.st_ctime_ns):
            self._moving.pop(name, None)
            return state
        return None

    def _is_still(self, name: str, state: State, changed_ns: int) -> bool:
        """Say whether nobody writes: the last that was done to it was no writing but a renaming or a date, or long ago.

        The clock that dates it may be another than this machine's, and is asked; it counts as well that the file was
        seen so for as long.
        """
        if changed_ns != state[1]:
            return True
        if self._moving.get(name, (None, 0.0))[0] != state:
            self._moving[name] = (state, time.monotonic())
        if time.monotonic() - self._moving[name][1] >= self.still_seconds:
            return True
        if self._now_ns is None:
            self._now_ns = self._probed_ns()
        return self._now_ns - state[1] >= self.still_seconds * 1e9

    def _probed_ns(self) -> int:
        """Return what time it is by the clock that dates files here, or ``UNKNOWN``."""
        probe = self.path / PROBE
        try:
            probe.write_bytes(b"\n")  # who only touches a file may date it by this machine's clock
            return probe.stat().st_mtime_ns
        except OSError:
            return UNKNOWN

    def _digest(self, name: str, state: State) -> str | None:
        """Return the hash of a file's content; None where nobody reads it for its rows."""
        seen = self.log.known.get(name)
        if seen is not None and _is(seen, state):
            return seen.digest
        if not file_kinds.is_read(name) or shown(name) != name:
            return None
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None  # it may not be read, and ``read`` says so


def names(folder: Path) -> Iterator[str]:
    """Name what lies in a folder and is no draft, nor a mark."""
    return filter(file_kinds.is_taken, _listed(folder))


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except FileNotFoundError:
        return []


def shown(name: str) -> str:
    """Write a file's name as text, with escapes for what is no text in it."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _is(seen: LoggedFile | None, state: State) -> bool:
    return seen is not None and (seen.size, seen.mtime_ns) == state


def _unread(name: str, state: State) -> LoggedFile:
    """Name what cannot be read for its rows by its name and state, so that it is refused as what it is."""
    digest = hashlib.sha256(os.fsencode(name) + f"\n{state}".encode()).hexdigest()
    return LoggedFile(name, *state, digest, digest)


def _arrival(seen: LoggedFile) -> Arrival:
    at = datetime.fromtimestamp(seen.mtime_ns / 1e9, UTC)
    return Arrival(seen.arrival_id, shown(seen.name), at, seen.digest)
