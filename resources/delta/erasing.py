"""Erasure of rows from a Delta table: from every version, the change feed, and the log.

What a lake remembers of a row that is deleted lies in many places, and each is seen to: data files of older versions,
the feed of changes, which holds what was deleted, the bounds of values and the condition of the deletion in the log,
checkpoints of before. A young entry of the log stays, without bounds and condition: a slow writer would take its number
for free.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import DATE
from loopline.resources.delta import log
from loopline.resources.delta.commits import insist, logs_stay
from loopline.resources.delta.opened import ABSENT
from loopline.resources.delta.tidying import LONGEST_COMMIT, due, vacuumed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

    from loopline.platform_core.contracts.lake import TableName
    from loopline.resources.delta.lake import DeltaLake

FEED = "_change_data"
MOST_VALUES = 500
"""Values in one condition: it is a text that grows with them."""
_BOUNDS = ("minValues", "maxValues")


def erase(lake: DeltaLake, table: TableName, among: Mapping[str, pa.Array]) -> int:
    """Delete rows, then whatever held them; both are done again by whoever comes after a kill."""
    conditions = list(_conditions(among))
    count = sum(int(insist(table, lake.attempts, partial(_deleted, lake, table, each))) for each in conditions)
    newest = lake.open(table).version()
    lake.open(table, newest, own=True).create_checkpoint()
    for older_than in (timedelta(0), LONGEST_COMMIT):  # what a removal named, then whatever else is no longer new
        insist(table, lake.attempts, partial(_let_go, lake, table, older_than))
    store = lake.store(table)
    _scrub(store, newest)
    _delete_feed(store)
    return count


def _deleted(lake: DeltaLake, table: TableName, condition: str) -> int:
    done = lake.open(table, own=True).delete(condition, post_commithook_properties=logs_stay())
    return int(done["num_deleted_rows"] or 0)


def _let_go(lake: DeltaLake, table: TableName, older_than: timedelta) -> None:
    found = lake.open(table, own=True)
    kept = [int(found.version())]
    named = due(found, kept, older_than)
    if named and any(info.is_file for info in lake.store(table).get_file_info(named)):  # each vacuum makes two versions
        vacuumed(found, kept, older_than)


def _conditions(among: Mapping[str, pa.Array]) -> Iterator[str]:
    """Write conditions that together mean the rows, each over a part of the longest list of values."""
    if not among:
        return
    values = {name: given.unique().drop_null().to_pylist() for name, given in among.items()}
    longest = max(values, key=lambda name: len(values[name]))
    for start in range(0, len(values[longest]), MOST_VALUES):
        part = values | {longest: values[longest][start : start + MOST_VALUES]}
        if all(part.values()):
            yield " AND ".join(f'"{name}" IN ({", ".join(map(_literal, held))})' for name, held in part.items())


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def _scrub(store: FileSystem, newest: int) -> None:
    """Take bounds and conditions out of the log's entries, and checkpoints of before away."""
    for entry in log.entries(store):
        if entry.is_checkpoint and entry.version < newest:
            with suppress(*ABSENT):  # who tidies takes it away as well
                store.delete_file(entry.path)
        elif not entry.is_checkpoint:
            with store.open_input_stream(entry.path) as file:
                content = file.read()
            scrubbed = b"".join(_scrubbed(line) for line in content.splitlines(keepends=True))
            if scrubbed != content:
                _write(store, entry.path, scrubbed)


def _scrubbed(line: bytes) -> bytes:
    if not any(word in line for word in (b"minValues", b"maxValues", b"predicate")):
        return line
    said = json.loads(line)
    for action in (said.get("add"), said.get("remove")):
        if action and action.get("stats"):
            stats = json.loads(action["stats"])
            own = {name: {DATE: stats[name][DATE]} for name in _BOUNDS if DATE in stats.get(name, {})}
            without: dict[str, dict[str, Any]] = {name: {} for name in _BOUNDS if name in stats}
            action["stats"] = json.dumps(stats | without | own, separators=(",", ":"))
    told = (said.get("commitInfo") or {}).get("operationParameters") or {}
    if "predicate" in told:
        told["predicate"] = "erased"
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _write(store: FileSystem, path: str, content: bytes) -> None:
    """Write an entry anew: on this machine beside it first, so that nobody reads half of one."""
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    if isinstance(store, SubTreeFileSystem) and isinstance(store.base_fs, LocalFileSystem):
        folder, _, name = path.rpartition("/")
        draft = f"{folder}/.{name}.tmp"
        with store.open_output_stream(draft) as file:
            file.write(content)
        store.move(draft, path)
        return
    with store.open_output_stream(path, buffer_size=2 * len(content) + 1) as file:  # which gives it bytes
        file.write(content)


def _delete_feed(store: FileSystem) -> None:
    from pyarrow.fs import FileSelector, FileType

    for info in store.get_file_info(FileSelector(FEED, allow_not_found=True, recursive=True)):
        if info.type == FileType.File:
            store.delete_file(info.path)
