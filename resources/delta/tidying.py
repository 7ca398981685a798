"""Small files become large ones, and versions that nobody needs are let go: their files, then their log."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from platform_core.contracts.lake import TableName, Tidied
from resources.delta import log
from resources.delta.commits import insist, logs_stay

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from resources.delta.lake import DeltaLake


def tidy(lake: DeltaLake, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
    """Compact, vacuum and trim the log; whoever appends meanwhile is not held up, nor loses anything."""
    files = len(lake.open(table).file_uris())
    insist(table, lake.attempts, lambda: _compact(lake.open(table)))
    found = lake.open(table)
    kept = sorted({*keep, found.version()})
    deleted = insist(table, lake.attempts, lambda: _vacuum(lake.open(table), kept, older_than))
    _trim_log(lake, table, kept, older_than)
    return Tidied(files, len(found.file_uris()), len(deleted), tuple(kept))


def _compact(found: DeltaTable) -> None:
    found.optimize.compact(post_commithook_properties=logs_stay())


def _vacuum(found: DeltaTable, kept: list[int], older_than: timedelta) -> list[str]:
    """Delete files that no newer version holds; those of a writer that is at work are not in the log and stay."""
    hours = math.ceil(older_than / timedelta(hours=1))
    how = {"retention_hours": hours, "enforce_retention_duration": False, "keep_versions": kept}
    if not found.vacuum(dry_run=True, **how):
        return []
    deleted: list[str] = found.vacuum(dry_run=False, post_commithook_properties=logs_stay(), **how)
    return deleted


def _trim_log(lake: DeltaLake, table: TableName, kept: list[int], older_than: timedelta) -> None:
    """Let the log of old versions go; a kept version gets a checkpoint, which needs no commit before it.

    The newest checkpoint is written last: delta-rs notes the last one as the place from which to read.
    """
    from deltalake.fs import DeltaStorageHandler
    from pyarrow.fs import PyFileSystem

    store = PyFileSystem(DeltaStorageHandler(lake.uri(table), lake.storage_options))
    before, newest = datetime.now(UTC) - older_than, lake.open(table).version()
    there = log.entries(store)
    if not any(entry.written_at < before and entry.version not in {*kept, newest} for entry in there):
        return
    states = {entry.version for entry in there if entry.is_checkpoint}
    for version in sorted({*kept, newest} - states):
        lake.open(table, version).create_checkpoint()
    log.trim(store, {*kept, newest}, before)
