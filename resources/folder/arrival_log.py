"""Log of the files that arrived in a folder: one appended line each.

Beside the files, in ``.arrivals.jsonl``: ``{"name", "size", "mtime_ns", "sha256", "id"}``. A new process reads it and
need not read every file again; and an arrival keeps the id that it was given, whatever is removed or comes later.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from loopline.resources.folder import lines
from loopline.resources.folder.tally import Tally

LOG = ".arrivals.jsonl"
FEW_ARRIVALS = 16
"""So many new arrivals are looked for by their contents in a log that is not read from its beginning."""
HASHES = ".hashes.json"
"""What was kept before, ``{name: [size, mtime_ns, sha256]}``, written anew with each file; read once if there."""


class LoggedFile(msgspec.Struct, frozen=True, gc=False, rename={"digest": "sha256", "arrival_id": "id"}):
    """A file as it was: its name, size, modification time and content, and the id of the arrival that it is."""

    name: str
    size: int
    mtime_ns: int
    digest: str
    arrival_id: str

    @property
    def found(self) -> FileState:
        """Return it without its id."""
        return FileState(self.name, self.size, self.mtime_ns, self.digest)


class FileState(NamedTuple):
    """A file that was not seen before, or not like this."""

    name: str
    size: int
    mtime_ns: int
    digest: str


@dataclass
class ArrivalLog:
    """The arrivals of one folder, the newest of each name; for one process, which looks at what others append."""

    folder: Path
    known: dict[str, LoggedFile] = field(default_factory=dict)
    _offset: int = 0
    _tally: Tally[LoggedFile] = field(default_factory=Tally)
    _migrated: bool = False
    _unread_bytes: int = 0
    """How much of the log's beginning is not read: what it says is known to be settled."""
    is_whole_on_disk: bool = True
    """Whether every arrival that is known could be appended."""

    def resume(self, offset: int, known: Sequence[LoggedFile]) -> None:
        """Begin behind a place, up to which these arrivals are all that matters."""
        self.known = {each.name: each for each in known}
        self._offset = self._unread_bytes = offset
        self._migrated = True

    @property
    def offset(self) -> int:
        """Return up to where the log was read."""
        return self._offset

    @property
    def is_partial(self) -> bool:
        """Say whether the log's beginning is not read."""
        return self._unread_bytes > 0

    @property
    def contents(self) -> AbstractSet[str]:
        """Return the contents that ever came, where the log is read from its beginning."""
        return self._tally.contents

    def complete(self) -> None:
        """Read the log's beginning as well."""
        if not self.is_partial:
            return
        before = _logged_files(self._beginning())
        self._unread_bytes = 0
        self.known = {each.name: each for each in before} | self.known
        self._tally.put_before(before)

    def _beginning(self) -> bytes:
        try:
            with (self.folder / LOG).open("rb") as file:
                return file.read(self._unread_bytes)
        except OSError:
            return b""

    def catch_up(self) -> list[LoggedFile]:
        """Read what was appended since, and return it."""
        self._migrate()
        try:
            with (self.folder / LOG).open("rb") as file:
                return self._read(file)
        except OSError:
            return []

    def add(self, arrivals: Sequence[FileState]) -> None:
        """Name arrivals and append them; where the folder cannot be written each process names them by itself."""
        try:
            with (self.folder / LOG).open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # let go with the file, also by a kill
                self._read(file)
                self._see_to(arrivals)
                new = b"".join(_line(self._named(each)) for each in arrivals if not self._holds(each))
                if new:
                    lines.add(file, new)
                    self._offset = file.seek(0, os.SEEK_END)
        except OSError:
            self.complete()
            self.is_whole_on_disk = False
            for each in arrivals:
                if not self._holds(each):
                    self._named(each)

    def _see_to(self, arrivals: Sequence[FileState]) -> None:
        """Read the log's beginning if one of some arrivals may be in it, by its content; many are not looked for."""
        if self.is_partial:
            beginning = self._beginning() if len(arrivals) <= FEW_ARRIVALS else b""
            if not beginning or any(each.digest.encode() in beginning for each in arrivals):
                self.complete()

    def next_id(self, found: FileState) -> str:
        """Return the id that a file would be given if it came now."""
        self.catch_up()
        self.complete()
        before = self.known.get(found.name)
        if before is not None and before.digest == found.digest:
            return before.arrival_id
        return self._tally.next_id(found.name, found.digest)

    def _holds(self, found: FileState) -> bool:
        seen = self.known.get(found.name)
        return seen is not None and seen.found == found

    def _named(self, found: FileState) -> LoggedFile:
        """Give an id: content that is new is named by itself; the same content again by its name and how often.

        A file that was touched, or copied over by itself, is the arrival that it was.
        """
        before = self.known.get(found.name)
        if before is not None and before.digest == found.digest:
            arrival_id = before.arrival_id
        else:
            arrival_id = self._tally.next_id(found.name, found.digest)
        return self._keep([LoggedFile(*found, arrival_id)])[0]

    def _keep(self, seen: list[LoggedFile]) -> list[LoggedFile]:
        self.known.update({each.name: each for each in seen})
        self._tally.unread += seen
        return seen

    def _read(self, file: BinaryIO) -> list[LoggedFile]:
        if file.seek(0, os.SEEK_END) < self._offset:  # another log, or none: what is known stays known
            self._offset = self._unread_bytes = 0
        file.seek(self._offset)
        data = file.read()
        whole = data.rfind(b"\n") + 1  # behind it is what a kill tore; the next one who appends takes it away
        self._offset += whole
        return self._keep(_logged_files(data[:whole]))

    def _migrate(self) -> None:
        """Take over what was kept before; there each content was one arrival, whatever the names."""
        if self._migrated:
            return
        self._migrated = True
        if (self.folder / LOG).exists():
            return
        try:
            kept: Mapping[str, tuple[int, int, str]] = json.loads((self.folder / HASHES).read_text())
            seen = [LoggedFile(name, *state, state[2]) for name, state in kept.items()]
        except (OSError, ValueError, TypeError):
            return
        self._keep(seen)
        try:
            lines.append(self.folder / LOG, b"".join(map(_line, seen)))
        except OSError:
            return  # the folder is read-only: each process takes it over again


_decoder = msgspec.json.Decoder(LoggedFile)


def _line(seen: LoggedFile) -> bytes:
    return json.dumps(msgspec.to_builtins(seen)).encode() + b"\n"  # a name may be no text in UTF-8


def _logged_files(whole: bytes) -> list[LoggedFile]:
    """Read lines, all at once as far as they are ours; of somebody else's line the file it names is read again.

    There may be a hundred thousand: none becomes an object of Python's before it is a ``LoggedFile``.
    """
    try:
        return _decoder.decode_lines(whole)
    except (msgspec.MsgspecError, ValueError):
        rows = whole.splitlines()
        return [seen for one in rows for seen in _logged_files(one)] if len(rows) > 1 else []
