"""Delta log entries of a table: lists them, and trims those that no kept version needs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from loopline.resources.delta.opened import ABSENT, LOG

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

    files = [(info, _ENTRY.search(info.path)) for info in store.get_file_info(FileSelector(LOG))]
    found = [Entry(f.path, int(m[1]), m[2] != "json", f.mtime) for f, m in files if m]
    return sorted(found, key=lambda entry: entry.version)


def newest_version(store: FileSystem) -> int | None:
    """Look up the newest version, at the cost of what was committed since the last checkpoint.

    None where there is no log, or nothing says from where on it is whole.

    To open a table costs all that a checkpoint says, such as each file that ever landed.
    """
    from pyarrow.fs import FileType

    def is_there(version: int) -> bool:
        (info,) = store.get_file_info([f"{LOG}/{version:020}.json"])
        return bool(info.type == FileType.File)

    while True:
        checkpoint = last_checkpoint(store)
        newest, step = checkpoint, 1
        while is_there(newest + step):
            newest, step = newest + step, 2 * step
        while step > 1:
            step //= 2
            newest += step if is_there(newest + step) else 0
        if last_checkpoint(store) == checkpoint:  # else what came after it may have been trimmed meanwhile
            return newest if newest >= 0 else None


def last_checkpoint(store: FileSystem) -> int:
    """Return the version of the last checkpoint, as the log notes it; -1 without one."""
    try:
        with store.open_input_stream(f"{LOG}/_last_checkpoint") as file:
            return int(json.loads(file.read())["version"])
    except (*ABSENT, ValueError, KeyError):
        return -1


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
