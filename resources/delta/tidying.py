"""Compaction and vacuum of a Delta table: merges small files, deletes unneeded versions and their log."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.lake import TableName, Tidied
from loopline.platform_core.foundation.names import DATE
from loopline.resources.delta import log
from loopline.resources.delta.commits import insist, logs_stay
from loopline.resources.delta.months import lies_in_months

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from loopline.resources.delta.lake import DeltaLake

LONGEST_COMMIT = timedelta(hours=1)
"""How old must be what is deleted though it is no old version's: no writer is still at work on what lies there."""


def tidy(lake: DeltaLake, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
    """Compact, vacuum and trim the log; whoever appends meanwhile is not held up, nor loses anything."""
    files = len(lake.open(table).file_uris())
    insist(table, lake.attempts, lambda: _compact(lake.open(table, own=True)))
    found = lake.open(table)
    kept = sorted({*keep, found.version()})
    deleted = insist(table, lake.attempts, lambda: vacuumed(lake.open(table, own=True), kept, older_than))
    _trim_log(lake, table, kept, older_than)
    return Tidied(files, len(found.file_uris()), len(deleted), tuple(kept))


def drop_days(lake: DeltaLake, table: TableName, before: date) -> int:
    """Commit the removal of partitions; it holds against appends of other days, and is tried again on the rest."""

    def once() -> int:
        found = lake.open(table, own=True)
        if not _may_hold_days_before(found, before):
            return 0
        done = found.delete(f"{DATE} < '{before.isoformat()}'", post_commithook_properties=logs_stay())
        return int(done["num_deleted_rows"] or 0)

    return int(insist(table, lake.attempts, once))


def _may_hold_days_before(found: DeltaTable, before: date) -> bool:
    import pyarrow as pa
    from pyarrow import compute

    if not lies_in_months(found):
        days = [part[DATE] for part in found.partitions()]
        return any(day is not None and date.fromisoformat(day) < before for day in days)
    earliest = pa.table(found.get_add_actions(flatten=True))[f"min.{DATE}"]
    return bool(compute.any(compute.less(earliest, before)).as_py())


def _compact(found: DeltaTable) -> None:
    found.optimize.compact(post_commithook_properties=logs_stay())


def vacuumed(found: DeltaTable, kept: list[int], older_than: timedelta) -> list[str]:
    """Delete files that no newer version holds, and those that a killed writer left, unless one may be at work."""
    how = _how(kept, older_than)
    if not due(found, kept, older_than):
        return []
    deleted: list[str] = found.vacuum(dry_run=False, post_commithook_properties=logs_stay(), **how)
    return deleted


def due(found: DeltaTable, kept: list[int], older_than: timedelta) -> list[str]:
    """Name the files that ``vacuumed`` would delete, also those that are gone by now."""
    named: list[str] = found.vacuum(dry_run=True, **_how(kept, older_than))
    return named


def _how(kept: list[int], older_than: timedelta) -> dict[str, Any]:
    return {
        "retention_hours": math.ceil(older_than / timedelta(hours=1)),
        "enforce_retention_duration": False,
        "keep_versions": kept,
        "full": older_than >= LONGEST_COMMIT,
    }


def _trim_log(lake: DeltaLake, table: TableName, kept: list[int], older_than: timedelta) -> None:
    """Let the log of old versions go; a kept version gets a checkpoint, which needs no commit before it.

    So does the oldest young one, from which the commits since are read. The newest checkpoint is written last:
    delta-rs notes the last one as the place from which to read. A young entry never goes: a slow writer would take
    its number for free, and what it commits would be lost.
    """
    store = lake.store(table)
    before, newest = datetime.now(UTC) - max(older_than, LONGEST_COMMIT), lake.open(table).version()
    there = log.entries(store)
    if not any(entry.written_at < before and entry.version not in {*kept, newest} for entry in there):
        return
    states = {entry.version for entry in there if entry.is_checkpoint}
    young = log.first_young(there, before)
    for version in sorted({*kept, newest, newest if young is None else young} - states):
        lake.open(table, version).create_checkpoint()
    log.trim(store, {*kept, newest}, before)
