"""What has arrived in a folder: a line a file, appended, so that one more file costs the same after any number.

Beside the files, in ``.arrivals.jsonl``: ``{"name", "size", "mtime_ns", "sha256", "id"}``. A new process reads it and
need not read every file again; and an arrival keeps the id that it was given, whatever is removed or comes later.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from loopline.resources.folder import lines

LOG = ".arrivals.jsonl"
HASHES = ".hashes.json"
"""What was kept before, ``{name: [size, mtime_ns, sha256]}``, written anew with each file; read once if there."""


class Seen(NamedTuple):
    """A file as it was: its name, size, modification time and content, and the id of the arrival that it is."""

    name: str
    size: int
    mtime_ns: int
    digest: str
    arrival_id: str


class Found(NamedTuple):
    """A file that was not seen before, or not like this."""

    name: str
    size: int
    mtime_ns: int
    digest: str


@dataclass
class ArrivalLog:
    """The arrivals of one folder, the newest of each name; for one process, which looks at what others append."""

    folder: Path
    known: dict[str, Seen] = field(default_factory=dict)
    _offset: int = 0
    _contents: set[str] = field(default_factory=set)
    _came: Counter[tuple[str, str]] = field(default_factory=Counter)
    _migrated: bool = False

    def catch_up(self) -> None:
        """Read what was appended since."""
        self._migrate()
        try:
            with (self.folder / LOG).open("rb") as file:
                self._read(file)
        except OSError:
            return

    def add(self, found: Sequence[Found]) -> None:
        """Name arrivals and append them; where the folder cannot be written each process names them by itself."""
        try:
            with (self.folder / LOG).open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # let go with the file, also by a kill
                self._read(file)
                new = b"".join(_line(self._named(each)) for each in found if not self._holds(each))
                if new:
                    lines.add(file, new)
                    self._offset = file.seek(0, os.SEEK_END)
        except OSError:
            for each in found:
                if not self._holds(each):
                    self._named(each)

    def _holds(self, found: Found) -> bool:
        seen = self.known.get(found.name)
        return seen is not None and seen[:4] == found

    def _named(self, found: Found) -> Seen:
        """Give an id: content that is new is named by itself; the same content again by its name and how often.

        A file that was touched, or copied over by itself, is the arrival that it was.
        """
        before = self.known.get(found.name)
        if before is not None and before.digest == found.digest:
            arrival_id = before.arrival_id
        elif found.digest in self._contents:
            again = f"{found.digest}\n{found.name}\n{self._came[found.digest, found.name]}"
            arrival_id = hashlib.sha256(again.encode()).hexdigest()
        else:
            arrival_id = found.digest
        return self._keep(Seen(*found, arrival_id))

    def _keep(self, seen: Seen) -> Seen:
        before = self.known.get(seen.name)
        if before is None or before.arrival_id != seen.arrival_id:
            self._came[seen.digest, seen.name] += 1
        self._contents.add(seen.digest)
        self.known[seen.name] = seen
        return seen

    def _read(self, file: BinaryIO) -> None:
        if file.seek(0, os.SEEK_END) < self._offset:  # another log, or none: what is known stays known
            self._offset = 0
        file.seek(self._offset)
        for line in file.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                return  # torn by a kill; the next one who appends takes it away
            self._offset += len(line)
            for seen in _seen(line):
                self._keep(seen)

    def _migrate(self) -> None:
        """Take over what was kept before; there each content was one arrival, whatever the names."""
        if self._migrated:
            return
        self._migrated = True
        if (self.folder / LOG).exists():
            return
        try:
            kept: Mapping[str, tuple[int, int, str]] = json.loads((self.folder / HASHES).read_text())
            seen = [Seen(name, *state, state[2]) for name, state in kept.items()]
        except (OSError, ValueError, TypeError):
            return
        for each in seen:
            self._keep(each)
        try:
            lines.append(self.folder / LOG, b"".join(map(_line, seen)))
        except OSError:
            return  # the folder is read-only: each process takes it over again


def _line(seen: Seen) -> bytes:
    names = ("name", "size", "mtime_ns", "sha256", "id")
    return json.dumps(dict(zip(names, seen, strict=True))).encode() + b"\n"


def _seen(line: bytes) -> Iterator[Seen]:
    import orjson

    try:
        held = orjson.loads(line)
        yield Seen(held["name"], held["size"], held["mtime_ns"], held["sha256"], held["id"])
    except (ValueError, KeyError, TypeError):
        return  # somebody else's line: the file it names is read again
