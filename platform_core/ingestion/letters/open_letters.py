"""Open dead letters: those that no replay has closed, by the table of closed letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ARRIVAL, DATE, LINE
from loopline.platform_core.ingestion import raw_rows
from loopline.platform_core.ingestion.letters.letters import ID, schema

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.ingestion.inbox import Inbox


def open_letters(inbox: Inbox) -> pa.Table:
    """Return the letters that no replay has closed, as ``letters.schema`` describes them."""
    lake = inbox.platform.lake
    try:
        letters = lake.read(inbox.dead_letters)
    except NotFound:
        return schema().empty_table()
    return without(letters, closed_ids(lake, inbox.resolved))


def closed_ids(lake: Lake, table: str) -> pa.ChunkedArray | None:
    """Read the ids of a source's closed letters; None while no letter was closed."""
    return None if lake.version(table) is None else lake.read(table, columns=[ID])[ID]


def without(letters: pa.Table, closed: pa.ChunkedArray | None) -> pa.Table:
    """Leave out the letters with these ids."""
    from pyarrow import compute

    if closed is None:
        return letters
    return letters.filter(compute.invert(compute.is_in(letters[ID], value_set=closed.combine_chunks())))


def landed(inbox: Inbox, letters: pa.Table) -> pa.ChunkedArray:
    """Return the keys of those letters whose row is in the raw table, on whatever day its event was."""
    among = {name: letters[name].unique() for name in (ARRIVAL, LINE)}
    try:
        raw = inbox.platform.lake.read(inbox.raw, columns=[ARRIVAL, LINE], among=among)
    except NotFound:
        raw = letters.slice(0, 0)
    return raw_rows.keys(raw_rows.within(letters, raw_rows.keys(raw)))


def close(inbox: Inbox, letters: pa.Table) -> None:
    """Say that the rows of these letters have landed."""
    import pyarrow as pa

    now = raw_rows.instants(inbox.platform.clock.now(), len(letters))
    closed = {ID: letters[ID], "resolved_at": now, DATE: raw_rows.dates(pa.chunked_array([now]))}
    inbox.platform.lake.append(inbox.resolved, pa.table(closed))
