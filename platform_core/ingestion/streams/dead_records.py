"""Dead letters of a stream: a row in the table, and the record itself on a dead-letter stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.event_source import Arrival
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, LINE
from loopline.platform_core.ingestion import raw_rows
from loopline.platform_core.ingestion.letters.letters import letters_of, schema
from loopline.platform_core.ingestion.streams.stream_records import as_rows, pairs

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.streams.stream_records import KeyAndValue


def dead_stream(inbox: Inbox) -> str:
    """Name the stream on which dead records are published."""
    return f"{inbox.where}.dead"


def letters_of_records(inbox: Inbox, bad: pa.Table, rows: pa.Table, records: pa.Table, number: int) -> pa.Table:
    """Make letters of the bad rows; ``rows`` are those that were checked, a row a record of ``records``.

    ``number`` is that of their micro-batch: it is its writer's who commits its offsets, so that no other takes it.
    """
    import pyarrow as pa
    from pyarrow import compute

    came_as = _records(bad, rows, records)
    made = [schema().empty_table()]
    for arrival in bad[ARRIVAL].unique().to_pylist():
        own = bad.filter(compute.equal(bad[ARRIVAL], arrival))
        came = Arrival(arrival, arrival.removeprefix("stream:"), own[ARRIVED_AT][0].as_py())
        letters = letters_of(own, came, number)
        texts = as_rows(inbox.contract, [came_as[key] for key in raw_rows.keys(own).to_pylist()])
        made.append(letters.set_column(letters.column_names.index("row"), "row", pa.array(texts, pa.string())))
    return pa.concat_tables(made)


def letters_already(inbox: Inbox, rows: pa.Table) -> pa.Table:
    """Return the letters that a landing that was killed half-way has made of these rows."""
    try:
        held = inbox.platform.lake.read(inbox.dead_letters, among={ARRIVAL: rows[ARRIVAL].unique()})
    except NotFound:
        return schema().empty_table()
    return raw_rows.within(held, raw_rows.keys(rows)).select(schema().names)


def publish(inbox: Inbox, letters: pa.Table, rows: pa.Table, records: pa.Table) -> None:
    """Publish the records of letters as they came, under the letter's id, with the reasons as a header.

    It is done before the offsets are committed, so each is there at least once; who reads knows it again by its key.
    """
    came_as = _records(letters, rows, records)
    dead = [
        Record(came_as[key][1] or b"", letter["letter_id"].encode(), _headers(inbox, letter))
        for key, letter in zip(raw_rows.keys(letters).to_pylist(), letters.to_pylist(), strict=True)
    ]
    if dead:
        inbox.platform.event_stream.publish(dead_stream(inbox), dead)


def _headers(inbox: Inbox, letter: dict[str, Any]) -> dict[str, str]:
    place = {"partition": letter[ARRIVAL].rpartition(":")[2], "offset": str(letter[LINE])}
    said = {"reasons": json.dumps(letter["reasons"]), "contract": inbox.contract.version}
    return {"source": inbox.where, **place, **said}


def _records(wanted: pa.Table, rows: pa.Table, records: pa.Table) -> dict[str, KeyAndValue]:
    """Return key and value of the records of rows, by the rows' key."""
    from pyarrow import compute

    keys = raw_rows.keys(rows)
    among = compute.is_in(keys, value_set=raw_rows.keys(wanted))
    return dict(zip(keys.filter(among).to_pylist(), pairs(records.filter(among)), strict=True))
