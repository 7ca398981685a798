"""Consumer group member on a folder's stream: offsets and answers are committed by renaming one file.

::

    <root>/<stream>/.groups/<group>/lock           held while the group is looked at or changed
    <root>/<stream>/.groups/<group>/members/<id>   locked by a living member
    <root>/<stream>/.groups/<group>/journal        places, and the lines of the last commit with where they belong

The rename is the commit. Lines are appended after it; whoever comes to the group after a kill appends what is missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

import msgspec

from loopline.platform_core.contracts.event_stream import Member, Record
from loopline.platform_core.errors import CommitConflict, Refused
from loopline.resources.folder import lines

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.folder.event_stream import FolderEventStream

LOOK_SECONDS = 0.05


class JournalLine(msgspec.Struct, frozen=True):
    """Lines that belong into a file of the root, at this place or behind it."""

    file: str
    at: int
    lines: bytes


class Journal(msgspec.Struct, frozen=True):
    """How far a group is in each partition, and what its last commit says."""

    places: dict[int, int] = msgspec.field(default_factory=dict)
    said: list[JournalLine] = msgspec.field(default_factory=list)


class FolderMember(Member):
    """Partitions go to the living members in turn; a commit holds only if nobody has moved the places taken from."""

    def __init__(self, events: FolderEventStream, stream: str, group: str, member: str) -> None:
        self._events, self._stream, self._root = events, stream, Path(events.root)
        self._folder = self._root / stream / ".groups" / group
        (self._folder / "members").mkdir(parents=True, exist_ok=True)
        self._name = member or uuid4().hex
        self._members: list[str] = []
        self._seen = b""
        with self._held():  # nobody looks meanwhile: who does takes files away that are not locked yet
            self._alive = os.open(self._folder / "members" / self._name, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._alive)
                raise Refused(f"{member!r} reads {stream} already", "give each member a name of its own") from error
        self._from: dict[int, int] = {}
        self._taken: dict[int, int] = {}

    def take(self, limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Look, and look again until there is something or the time is over."""
        until = time.monotonic() + wait_seconds
        while not len(rows := self._look(limit)) and (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
        return rows

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        """Rename a journal into place, and append what it says."""
        with self._held() as journal:
            moved = {p: journal.places.get(p, 0) for p in self._taken}
            if moved != {p: self._from[p] for p in self._taken}:
                self.abandon()
                raise CommitConflict(f"{self._stream}: another member has a partition now", "take again")
            said = self._lines(out)
            with contextlib.ExitStack() as stack:
                files = [stack.enter_context(_locked(self._root / each.file)) for each in said]
                placed = [
                    JournalLine(one.file, lines.whole(file), one.lines) for one, file in zip(said, files, strict=True)
                ]
                self._write(Journal(journal.places | self._taken, placed))
                for file, each in zip(files, placed, strict=True):
                    lines.add(file, each.lines)
        self.abandon()

    def abandon(self) -> None:
        """Forget what was taken."""
        self._taken, self._from = {}, {}

    def close(self) -> None:
        """Leave: the lock ends with its file."""
        if self._alive >= 0:
            (self._folder / "members" / self._name).unlink(missing_ok=True)
            os.close(self._alive)
            self._alive = -1

    def _look(self, limit: int) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        with self._held() as journal:
            members = self._living()
            if members != self._members:
                self.abandon()
                self._members, self.moves = members, self.moves + 1
        ends = self._events.ends(self._stream)
        mine = [p for p in sorted(ends) if p % len(members) == members.index(self._name)]
        for partition in mine:
            self._from.setdefault(partition, journal.places.get(partition, 0))
        places = {p: self._taken.get(p, self._from[p]) if p in mine else end for p, end in ends.items()}
        rows = self._events.read(self._stream, places, limit)
        rows = rows.filter(pc.is_in(rows["partition"], pa.array(mine, pa.int32())))
        self._taken |= dict(zip(rows["partition"].to_pylist(), rows["next"].to_pylist(), strict=True))
        return rows

    def _living(self) -> list[str]:
        """Name the members whose processes live, in the same order for all."""
        found = []
        for file in sorted((self._folder / "members").iterdir()):
            if file.name == self._name or _is_locked(file):
                found.append(file.name)
            else:
                file.unlink(missing_ok=True)
        return found

    def _lines(self, out: Mapping[str, Sequence[Record]]) -> list[JournalLine]:
        """Write records as lines, files in one order for all, so that no two commits wait for each other."""
        found = []
        mark = {"commit": uuid4().hex}
        for stream, records in sorted(out.items()):
            (self._root / stream).mkdir(parents=True, exist_ok=True)
            own = lines.by_partition(records, self._events.partitions, mark)
            found += [JournalLine(f"{stream}/{partition}.jsonl", 0, text) for partition, text in own.items()]
        return sorted(found, key=lambda each: each.file)

    @contextlib.contextmanager
    def _held(self) -> Iterator[Journal]:
        """Have the group to oneself, with its last commit carried out."""
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                text = (self._folder / "journal").read_bytes()
            except FileNotFoundError:
                text = msgspec.msgpack.encode(Journal())
            journal = msgspec.msgpack.decode(text, type=Journal)
            if text != self._seen:
                for each in journal.said:
                    _carry_out(self._root / each.file, each)
                self._seen = text
            yield journal

    def _write(self, journal: Journal) -> None:
        draft = self._folder / ".journal"
        with draft.open("wb") as file:
            file.write(msgspec.msgpack.encode(journal))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / "journal")


def _carry_out(path: Path, said: JournalLine) -> None:
    """Append the lines that are not there: who was killed over it has left the first ones, or none.

    Lines of others may stand between. None of theirs is one of ours: each bears the mark of its commit.
    """
    with _locked(path) as file:
        file.seek(said.at)
        wanted = said.lines.splitlines(keepends=True)
        there = 0
        for line in file:
            there += there < len(wanted) and line == wanted[there]
        if there < len(wanted):
            lines.add(file, b"".join(wanted[there:]))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _is_locked(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False
