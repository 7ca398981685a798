"""Files that land in a folder; a file stays where it is."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_source import Arrival, EventSource
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.resources.folder import file_kinds
from loopline.resources.folder.arrival_log import ArrivalLog, Found

if TYPE_CHECKING:
    import pyarrow as pa

UNFINISHED = (".tmp", ".part", ".crdownload", ".filepart")
FEW, SWEEP_SECONDS = 5_000, 30.0
"""Of so many files each is looked at each time; of more the new names, and all of them once in a while."""
State = tuple[int, int]
"""Size and modification time (ns)."""


class FolderEventSource(EventSource):
    """Files ``<root>/<team>/<source>/*`` of the kinds in ``file_kinds``: CSV, JSON lines and Parquet, packed or not.

    A file's modification time says when it arrived. Who writes a file writes it under another name first
    (``.name``, ``name.tmp``, ``name.part``) and renames it. What is written under its own name is taken once nobody has
    written to it for ``still_seconds``. Whatever else lies there is listed as well, and refused with its name when it
    is read, so that somebody hears of it; but not names that begin with a dot, nor marks as ``_SUCCESS``.
    """

    root: str
    still_seconds: float = 3.0
    _folders: dict[str, _Folder] = PrivateAttr(default_factory=dict)

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List files by modification time."""
        if source not in self._folders:
            self._folders[source] = _Folder(Path(self.root, source), self.still_seconds)
        every, wanted = self._folders[source].look(), set(known)
        if not wanted:
            return every[:limit]
        return [arrival for arrival in every if arrival.arrival_id not in wanted][:limit]

    def place(self, source: str) -> str:
        """Return the folder."""
        return os.path.abspath(Path(self.root, source))  # noqa: PTH100 - without its ..

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read a file whose content is still that of the arrival."""
        path = Path(self.root, source, arrival.name)
        if "\\" in arrival.name and not path.exists() and arrival.name in map(_shown, _names(path.parent)):
            raise ContractBroken(f"the name of {path} is no text in UTF-8", "rename the file")
        if path.is_dir():
            fix = "put files into the source's own folder"
            raise ContractBroken(f"{path} is a folder, and folders in a landing folder are not read", fix)
        reader = file_kinds.reader_of(arrival.name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = None
        except OSError as error:
            raise ContractBroken(f"{path} cannot be read: {error.strerror}", "let the platform read it") from error
        if data is None or hashlib.sha256(data).hexdigest() != (arrival.content_id or arrival.arrival_id):
            raise NotFound(f"{path} is gone or no longer what it was when it was listed", "list arrivals again")
        return reader(data, str(path))


@dataclass
class _Folder:
    """One source's folder, as this process knows it."""

    path: Path
    still_seconds: float
    log: ArrivalLog = field(init=False)
    _listed: list[tuple[datetime, str, Arrival]] = field(default_factory=list)
    _by_name: dict[str, tuple[State, Arrival]] = field(default_factory=dict)
    _moving: dict[str, tuple[State, float]] = field(default_factory=dict)
    _swept: float = float("-inf")

    def __post_init__(self) -> None:
        """Begin with what other processes have seen."""
        self.log = ArrivalLog(self.path)

    def look(self) -> list[Arrival]:
        """List what lies there, oldest first."""
        names = set(_names(self.path))
        for gone in self._by_name.keys() - names:
            self._forget(gone)
        sweeps = len(names) <= FEW or time.monotonic() - self._swept >= SWEEP_SECONDS
        if new := names if sweeps else names - self._by_name.keys():
            self._take(new)
        if sweeps:
            self._swept = time.monotonic()
        return [arrival for _, _, arrival in self._listed]

    def _take(self, names: Collection[str]) -> None:
        """Take in files that are new or another than they were, once they are still."""
        self.log.catch_up()
        states = {name: state for name in names if (state := self._state(name)) is not None}
        changed = [name for name, state in states.items() if self._by_name.get(name, (None,))[0] != state]
        changed.sort(key=lambda name: (states[name][1], name))
        digests = {name: digest for name in changed if (digest := self._digest(name, states[name])) is not None}
        self.log.add([Found(name, *states[name], digest) for name, digest in digests.items()])
        for name in changed:
            self._forget(name)
        new = [self._listing(name, states[name], digests.get(name)) for name in changed]
        self._listed = sorted([*self._listed, *new], key=_order)  # nearly sorted already, which costs little

    def _state(self, name: str) -> State | None:
        """Look at a file; None while it is being written, or when it is gone."""
        with contextlib.suppress(OSError):
            at = (self.path / name).stat()
            state = (at.st_size, at.st_mtime_ns)
            if self._is_known(name, state) or self._is_still(name, state, at.st_ctime_ns):
                self._moving.pop(name, None)
                return state
        return None

    def _is_known(self, name: str, state: State) -> bool:
        seen = self.log.known.get(name)
        return seen is not None and (seen.size, seen.mtime_ns) == state

    def _is_still(self, name: str, state: State, changed_ns: int) -> bool:
        """Say whether nobody writes: the last that was done to it was no writing but a renaming or a date, or long ago.

        The clock that dates it may be another than this machine's: it counts as well that it was seen so for as long.
        """
        if changed_ns != state[1] or time.time() - state[1] / 1e9 >= self.still_seconds:
            return True
        if self._moving.get(name, (None, 0.0))[0] != state:
            self._moving[name] = (state, time.monotonic())
        return time.monotonic() - self._moving[name][1] >= self.still_seconds

    def _digest(self, name: str, state: State) -> str | None:
        """Return the hash of a file's content; None where nobody reads it for its rows."""
        if self._is_known(name, state):
            return self.log.known[name].digest
        if not file_kinds.is_read(name) or _shown(name) != name:
            return None
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None  # it may not be read, and ``read`` says so

    def _listing(self, name: str, state: State, digest: str | None) -> tuple[datetime, str, Arrival]:
        if digest is None:
            digest = hashlib.sha256(os.fsencode(name) + f"\n{state}".encode()).hexdigest()
            arrival_id = digest
        else:
            arrival_id = self.log.known[name].arrival_id
        arrival = Arrival(arrival_id, _shown(name), datetime.fromtimestamp(state[1] / 1e9, UTC), digest)
        self._by_name[name] = (state, arrival)
        return arrival.arrived_at, arrival.name, arrival

    def _forget(self, name: str) -> None:
        if name in self._by_name:
            _, arrival = self._by_name.pop(name)
            del self._listed[bisect.bisect_left(self._listed, (arrival.arrived_at, arrival.name))]


def _order(listed: tuple[datetime, str, Arrival]) -> tuple[datetime, str]:
    return listed[:2]


def _shown(name: str) -> str:
    """Write a file's name as text, with escapes for what is no text in it."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _names(folder: Path) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            hidden = name.startswith(".") or (name.startswith("_") and not file_kinds.is_read(name))
            if not hidden and not name.lower().endswith(UNFINISHED):
                yield name
