"""Cache of opened Delta tables, reused as long as their log has not changed.

Opening one reads its newest checkpoint and every commit since, some milliseconds after a long history and twenty on an
object store; that it stands still is seen by two look-ups. Who writes takes a table out, so that nobody else has it: a
table that is handed out twice never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

LOG = "_delta_log"
Known = tuple[int, object]
"""By what a commit is known: its size, and when it was written."""
ABSENT = (FileNotFoundError, PermissionError)
"""What a store says of a file that is not there, the second to those who may not list. One that hangs says neither, and
then nothing else is asked of it: each question would wait as long as the first."""
MOST_TABLES = 1_000
"""Tables that are kept open: more than a process asks about in turns, else none is there at its next turn."""
MOST_WRITTEN = 100
"""Tables that are kept for writing: each is held a second time, and a process writes fewer than it reads."""


class _OpenTable(NamedTuple):
    """A table with its folder as a file system, and by what its newest commit is known."""

    table: DeltaTable
    store: FileSystem
    newest: Known

    def stands_still(self) -> bool:
        """Tell that its commit is the one it was, and none came after."""
        return newest_commit(self.store, int(self.table.version())) == self.newest


@dataclass
class Opened:
    """The tables that were opened last, at ``most`` so many, by folder; several threads may ask."""

    most: int = MOST_TABLES
    _kept: OrderedDict[str, _OpenTable] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, folder: str) -> DeltaTable | None:
        """Return the table that was opened in a folder, if it is still the newest."""
        with self._lock:
            kept = self._kept.get(folder)
            if kept is not None:
                self._kept.move_to_end(folder)
        return kept.table if kept is not None and kept.stands_still() else None

    def take(self, folder: str) -> DeltaTable | None:
        """Return the same, and keep it no longer: who takes it may change it, and gives it back when that is done."""
        with self._lock:
            kept = self._kept.pop(folder, None)
        return kept.table if kept is not None and kept.stands_still() else None

    def keep(self, folder: str, table: DeltaTable, store: FileSystem) -> Known | None:
        """Keep a table that nobody will change any more; return by what its commit is known, None if it is not kept."""
        newest = None
        with suppress(OSError):  # a commit that is done must not seem to have failed
            newest = commit_info(store, int(table.version()))
        with self._lock:
            self._kept.pop(folder, None)
            if newest is not None:
                self._kept[folder] = _OpenTable(table, store, newest)
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return newest


def newest_commit(store: FileSystem, version: int) -> Known | None:
    """Say by what a commit is known, if it is there and none came after it; None also where nobody can say."""
    commit, after = _known(store, version, version + 1)
    return commit if after is None else None


def commit_info(store: FileSystem, version: int) -> Known | None:
    """Say by what a commit is known, if it is there; None also where nobody can say."""
    (commit,) = _known(store, version)
    return commit


def _known(store: FileSystem, *versions: int) -> list[Known | None]:
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    try:
        found = store.get_file_info([f"{LOG}/{version:020}.json" for version in versions])
    except (*ABSENT, pa.ArrowException, DeltaError):
        return [None for _ in versions]
    return [(each.size, each.mtime) if each.is_file else None for each in found]
