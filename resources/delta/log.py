"""A table's log: which entries are there, and which no version needs that is kept."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_ENTRY = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)$")


class Entry(NamedTuple):
    """A file of the log: a version's commit, or the whole state of a table at it."""

    path: str
    version: int
    is_checkpoint: bool
    written_at: datetime


def entries(store: FileSystem) -> list[Entry]:
    """List the log, oldest version first."""
    from pyarrow.fs import FileSelector

    files = [(info, _ENTRY.search(info.path)) for info in store.get_file_info(FileSelector("_delta_log"))]
    found = [Entry(f.path, int(m[1]), m[2] != "json", f.mtime) for f, m in files if m]
    return sorted(found, key=lambda entry: entry.version)


def first_young(log_entries: list[Entry], before: datetime) -> int | None:
    """Return the oldest version that was committed at an instant or later."""
    return min((e.version for e in log_entries if e.written_at >= before and not e.is_checkpoint), default=None)


def trim(store: FileSystem, versions: Collection[int], before: datetime) -> int:
    """Delete entries written before an instant that neither a kept version nor a younger one is read by.

    A version is read from the last checkpoint up to it and the commits since: every kept version must have a
    checkpoint of its own. Returns how many were deleted.
    """
    found = entries(store)
    states, young = {entry.version for entry in found if entry.is_checkpoint}, first_young(found, before)
    bases = [version for version in states if young is None or version <= young]
    if not bases or not states.issuperset(versions):
        return 0
    old = [entry for entry in found if entry.version < max(bases) and entry.version not in versions]
    for entry in old:  # oldest first: if this process dies half-way, what is left still reads
        store.delete_file(entry.path)
    return len(old)
