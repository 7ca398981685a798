"""Ledger entry of a landing: counts what the tables hold beyond the entry before, so each row counts once.

A line says up to which versions of both tables it goes; the next one begins there. So two landings at once tell what
landed once, and what a landing that was killed behind its commit could not tell, the next one does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ARRIVAL, LINE
from loopline.platform_core.ingestion import raw_rows
from loopline.platform_core.ingestion.current_rows import of_rows
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import LANDED

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.landed import Landed
    from loopline.platform_core.loop.ledger.ledger import Entry

TRIES = 10
"""So many others may write a line at the same time before one is left to the next landing."""


class Reached(NamedTuple):
    """Versions of the raw table and of the dead letters; -1 where there is none yet."""

    raw_version: int
    letters_version: int


@dataclass(frozen=True)
class Counted:
    """What lies between two places: rows and letters that came, and of how many arrivals."""

    arrivals: int
    rows: int
    dead: int
    reasons: Mapping[str, int]


def reached(inbox: Inbox) -> Reached:
    """Look how far the tables of a source are."""
    versions = (inbox.platform.lake.version(table) for table in (inbox.raw, inbox.dead_letters))
    return Reached(*(-1 if version is None else version for version in versions))


def record_landing(inbox: Inbox, landed: Landed, began: Reached, which: Mapping[str, Any], noun: str) -> None:
    """Write what landed since the line before, also where this landing brought nothing but another was killed.

    ``began`` is how far the tables were before this landing.
    """
    for _ in range(TRIES):
        line, now = _newest(inbox), reached(inbox)
        since = _goes_to(line)
        found = _counted(inbox, since, now, landed, began)
        if since == now and not landed.arrivals:
            return
        if not found.arrivals and not found.rows and not found.dead:
            return
        details = {**asdict(found), **which, **now._asdict(), **tracing.trace_details(version=now.raw_version)}
        key = f"{LANDED}:{inbox.where}:{0 if line is None else line.entry_id}"
        inbox.record(LANDED, f"{found.arrivals} {noun} of {inbox.source}", details, once=key)
        newest = _newest(inbox)
        if newest is not None and _goes_to(newest) >= now:
            return


def _newest(inbox: Inbox) -> Entry | None:
    column = tables.entries.c
    own = (column.team == inbox.team, column.model == "", column.kind == LANDED)
    query = select(tables.entries).where(*own, column.details["source"].as_string() == inbox.where)
    return next(iter(inbox.platform.ledger.selected(query.order_by(column.entry_id.desc()).limit(1))), None)


def _goes_to(line: Entry | None) -> Reached:
    if line is None:
        return Reached(-1, -1)
    return Reached(line.details["raw_version"], line.details["letters_version"])


def _counted(inbox: Inbox, since: Reached, now: Reached, landed: Landed, began: Reached) -> Counted:
    """Count what was appended; where a table no longer says so, what this landing knows of itself."""
    from pyarrow import compute

    try:
        letters = _newer(inbox, inbox.dead_letters, since.letters_version, now.letters_version, ARRIVAL, "reasons")
        lines = _newer(inbox, inbox.raw, since.raw_version, now.raw_version)[LINE]
        brought = compute.sum(of_rows(lines)).as_py() or 0
        reasons = Counter(reason for reasons in letters["reasons"].to_pylist() for reason in reasons)
        if since == began and (brought, len(letters)) == (landed.rows, landed.dead):
            return Counted(landed.arrivals, landed.rows, landed.dead, dict(reasons))  # nobody else, mostly
        rows = _rows(inbox, since.raw_version, now.raw_version)
    except NotFound:
        return Counted(landed.arrivals, landed.rows, landed.dead, dict(landed.reasons))
    arrivals = {*rows[ARRIVAL].to_pylist(), *letters[ARRIVAL].to_pylist()}
    return Counted(len(arrivals), len(rows), len(letters), dict(reasons))


def _rows(inbox: Inbox, since: int, until: int) -> pa.Table:
    """Read which rows landed, without those that are letters which were replayed: their replay is told by itself."""
    rows = _newer(inbox, inbox.raw, since, until, ARRIVAL)
    rows = rows.filter(of_rows(rows[LINE]))
    if inbox.platform.lake.version(inbox.resolved) is None or not len(rows):
        return rows
    among = {ARRIVAL: rows[ARRIVAL].unique()}
    letters = inbox.platform.lake.read(inbox.dead_letters, columns=[ARRIVAL, LINE], among=among)
    return raw_rows.within(rows, raw_rows.keys(letters), keep=False)


def _newer(inbox: Inbox, table: str, since: int, until: int, *more: str) -> pa.Table:
    import pyarrow as pa

    columns = [LINE, *more]
    if until <= since:
        kinds = {ARRIVAL: pa.string(), LINE: pa.int64(), "reasons": pa.list_(pa.string())}
        return pa.schema([(name, kinds[name]) for name in columns]).empty_table()
    than = since if since >= 0 else None
    return inbox.platform.lake.read(table, version=until, columns=columns, newer_than=than)
