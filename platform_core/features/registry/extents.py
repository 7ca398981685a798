"""Row counts and newest event of views' offline tables, from ledger entries, without reading the tables."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, view_table
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.ledger.new_entries import Newer

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.features.compute.row_scope import Tables
    from loopline.platform_core.features.registry.watermarks import Standing
    from loopline.platform_core.loop.ledger.ledger import Ledger

MATERIALIZED = "feature_view.materialized"
_entry = tables.entries.c


@dataclass(frozen=True)
class Extent:
    """What a version's offline table holds, as its newest materialization left it.

    ``rows`` is the sum of what materializations added; ``newest_event`` and ``newest_created`` are of any row.
    """

    rows: int
    newest_event: datetime | None
    newest_created: datetime | None
    at: datetime
    version: int


def kept(tables: Tables, stands: Standing) -> int:
    """Return how many rows were ever added; of a table whose commits do not say so yet, how many there are."""
    if stands.version is None or stands.kept in stands.committed:
        return stands.committed.get(stands.kept, 0)
    told = _before(tables.platform.ledger, ref_of(tables.team, tables.view))
    return max(len(_read(tables, EVENT_TIME)), told.rows if told else 0)


def tell_again(tables: Tables, stands: Standing) -> None:
    """Tell the ledger what a materialization added that died before it could."""
    every = stands.committed.get(stands.kept)
    if every is None or stands.version is None:
        return
    before = _before(tables.platform.ledger, ref_of(tables.team, tables.view))
    if before is not None and before.rows >= every:
        return
    rows = _read(tables, EVENT_TIME, CREATED_AT)
    if len(rows):
        record(tables, rows, every, stands.version)


def record(tables: Tables, rows: pa.Table, every: int, version: int) -> None:
    """Tell the ledger what a materialization added, and how much there is now; with it, what one before could not."""
    from pyarrow import compute

    platform, ref, now = tables.platform, ref_of(tables.team, tables.view), tables.platform.clock.now()
    before, event = _before(platform.ledger, ref), compute.max(rows[EVENT_TIME]).as_py()
    event = max(event, before.newest_event) if before and before.newest_event else event
    told = before.rows if before else 0
    details = {
        "view": ref.view,
        "added": max(0, every - told),
        "rows": max(every, told),
        "newest_event": event.isoformat(),
        "newest_created": compute.max(rows[CREATED_AT]).as_py().isoformat(),
        "table_version": version,
    }
    said = f"{ref}: {details['added']:,} rows"
    entry = Entry(MATERIALIZED, now, ref.team, version=str(ref.version), reason=said, details=details)
    platform.ledger.record(entry, once=f"{MATERIALIZED}:{ref.table}:{version}")


class Extents:
    """Keeps what it has read, so that asking again reads only what was told since; for many threads."""

    def __init__(self) -> None:
        self._known: dict[ViewRef, Extent] = {}
        self._told = Newer(MATERIALIZED)
        self._lock = threading.Lock()

    def newest(self, ledger: Ledger) -> Mapping[ViewRef, Extent]:
        """Return the newest extent of each version of a view, of those that were materialized of late."""
        with self._lock:
            for row in self._told.read(ledger):
                ref, found = ViewRef(row.team, row.details["view"], int(row.version)), _extent(row.details, row.at)
                if ref not in self._known or found.at >= self._known[ref].at:  # one may be shown late
                    self._known[ref] = found
            return dict(self._known)


def _read(tables: Tables, *columns: str) -> pa.Table:
    return tables.platform.lake.read(view_table(tables.team.name, tables.view), columns=columns)


def _before(ledger: Ledger, ref: ViewRef) -> Extent | None:
    own = (_entry.team == ref.team, _entry.model == "", _entry.kind == MATERIALIZED, _entry.version == str(ref.version))
    query = select(tables.entries).where(*own, _entry.details["view"].as_string() == ref.view)
    found = ledger.selected(query.order_by(_entry.entry_id.desc()).limit(1))
    return _extent(found[0].details, found[0].at) if found else None


def _extent(details: Mapping[str, Any], at: datetime) -> Extent:
    event, created = (datetime.fromisoformat(details[name]) for name in ("newest_event", "newest_created"))
    return Extent(details["rows"], event, created, at, details["table_version"])
