"""Conversion of stream records to text rows: JSON objects by the contract's physical names.

One that bears a schema's id is JSON before it comes here, or ``_malformed``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, DELETED, LINE
from loopline.platform_core.ingestion import raw_rows
from loopline.platform_core.ingestion.streams.tombstones import tombstone

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.specs.contracts.contract_file import RowContract

Fields = dict[str, "str | None"]
KeyAndValue = tuple["bytes | None", "bytes | None"]
_PLAIN = frozenset({str, type(None)})
"""What a field is read as that needs no more to be text."""


def arrival_id(source: str, partition: int) -> str:
    """Name what the records of a partition have as their arrival; with the offset as line a record is one row."""
    return f"stream:{source}:{partition}"


def text_rows(inbox: Inbox, records: pa.Table, known_at: datetime) -> pa.Table:
    """Read records into text, as ``Engine.check_rows`` takes it, a row a record in the same order.

    A field that a record lacks is null, and where rows have a key ``_deleted`` is read as well; a record without a
    value ends the row of its key. What is no JSON object is ``_malformed``. ``_arrived_at`` is ``known_at``: a record
    may have waited long, but before it was read nobody could have been served by it.
    """
    import pyarrow as pa

    fields = [fields_of(inbox.contract, *record) for record in pairs(records)]
    ended = [DELETED] if inbox.contract.key else []
    names = [*(column.physical_name for column in inbox.contract.columns), *ended, MALFORMED]
    texts = {name: pa.array([row.get(name) for row in fields], pa.string()) for name in names}
    arrivals = [arrival_id(inbox.source, partition) for partition in records["partition"].to_pylist()]
    came = {ARRIVAL: pa.array(arrivals, pa.string()), LINE: records["offset"]}
    return pa.table({**texts, **came, ARRIVED_AT: raw_rows.instants(known_at, len(records))})


def pairs(records: pa.Table) -> list[KeyAndValue]:
    """Return each record's key and value."""
    return list(zip(records["key"].to_pylist(), records["value"].to_pylist(), strict=True))


def as_rows(contract: RowContract, records: Iterable[KeyAndValue]) -> list[str]:
    """Write records as dead letters keep them: every field that came, as text, in a JSON object."""
    import orjson

    return [orjson.dumps(fields_of(contract, *record)).decode() for record in records]


def fields_of(contract: RowContract, key: bytes | None, value: bytes | None) -> Fields:
    """Read a record's fields as text; of one without a value those of its key."""
    return tombstone(contract, key) if value is None else fields_or_malformed(value)


def fields_or_malformed(value: bytes) -> Fields:
    """Read an object's fields as text; what is no object stands under ``_malformed``, as it came."""
    try:
        return _fields(value)
    except (ValueError, RecursionError):
        return {MALFORMED: value.decode(errors="backslashreplace")}


def _fields(value: bytes) -> Fields:
    """Read an object; numbers stay as they are written, so that none is rounded."""
    text = value.decode()
    read = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number)
    if not isinstance(read, dict):
        raise ValueError("no object")  # noqa: TRY004 - all that is wrong with a record is caught as one
    read.pop(MALFORMED, None)
    is_plain = _PLAIN.issuperset(map(type, read.values()))
    if not is_plain and any(isinstance(held, dict | list) for held in read.values()):
        read |= _nested(text)
    if "\\u" in text:  # half a character can be written so, and no column could hold it
        "".join(f"{name}{held}" for name, held in read.items()).encode()
    return read if is_plain else {name: _text(held) for name, held in read.items()}


def _nested(text: str) -> Fields:
    """Keep what is no scalar as JSON, its numbers as numbers."""
    read = json.loads(text)
    inside = {name: held for name, held in read.items() if isinstance(held, dict | list)}
    return {name: json.dumps(held, ensure_ascii=False, separators=(",", ":")) for name, held in inside.items()}


def _text(held: Any) -> str | None:
    if isinstance(held, bool):
        return "true" if held else "false"
    return held if held is None else str(held)


def _no_number(written: str) -> NoReturn:
    raise ValueError(f"{written} is no JSON")
