"""Tombstones: stream records without a value, which delete the row of their key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.foundation.names import DELETED
from loopline.platform_core.ingestion import raw_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.event_stream import AsJson
    from loopline.platform_core.specs.contracts.contract_file import RowContract

NO_KEY, UNREADABLE = "tombstone.no_key", "tombstone.key"
"""Why one is a dead letter: the contract names no key, or the record's key is not what the contract's names."""


def tombstone(contract: RowContract, key: bytes | None) -> dict[str, str | None]:
    """Return the fields of a row that ends the one of its key, as text; else what came as key, under ``_malformed``.

    The key is a JSON object with the contract's key columns by their physical names; of one column it may be the
    value itself, as JSON or as bare text.
    """
    physical = {column.name: column.physical_name for column in contract.columns}
    named = _named(key, [physical[name] for name in contract.key])
    if named is not None:
        return {**named, DELETED: "true"}
    came: dict[str, str | None] = {MALFORMED: (key or b"").decode(errors="backslashreplace")}
    return came | ({DELETED: "true"} if contract.key else {})  # who mends it gives its key


def reasons_of(contract: RowContract, bad: pa.Table, rows: pa.Table, read: AsJson) -> pa.Table:
    """Say of bad rows that could not be read why: no schema, or a record without value whose key says nothing."""
    import pyarrow as pa
    from pyarrow import compute

    ended = compute.and_(read.records["value"].is_null(), rows[MALFORMED].is_valid())
    unended = UNREADABLE if contract.key else NO_KEY
    places = dict.fromkeys(compute.indices_nonzero(ended).to_pylist(), unended) | dict(read.unread)
    if not places:
        return bad
    why = dict(zip(raw_rows.keys(rows.take(list(places))).to_pylist(), places.values(), strict=True))
    found = zip(raw_rows.keys(bad).to_pylist(), bad["reasons"].to_pylist(), strict=True)
    reasons = pa.array([[why[key]] if key in why else own for key, own in found], pa.list_(pa.string()))
    return bad.set_column(bad.column_names.index("reasons"), "reasons", reasons)


def _named(key: bytes | None, names: list[str]) -> dict[str, str | None] | None:
    if key is None or not names:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    read = _read(text)
    if len(names) == 1 and not isinstance(read, dict):
        read = {names[0]: read}
    values = {name: _text(read.get(name)) for name in names} if isinstance(read, dict) else {}
    return values if values and None not in values.values() else None


def _read(text: str) -> Any:
    """Read JSON, numbers as they are written; what is none is the text itself."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _text(read: Any) -> str | None:
    if isinstance(read, bool):
        return "true" if read else "false"
    try:
        return read if isinstance(read, str) and read.encode() else None
    except UnicodeEncodeError:  # half a character, which no column could hold
        return None


def _no_number(written: str) -> NoReturn:
    raise ValueError(f"{written} is no JSON")
