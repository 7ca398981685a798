"""Dead-letter records: the row as it came with every reason; their schema and conversions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, CARRIED, DATE, DELETED, LINE, SEQUENCE
from loopline.platform_core.ingestion import raw_rows

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.specs.contracts.contract_file import RowContract

ID = "letter_id"
SHOWN = (ID, "reasons", "name", LINE, ARRIVED_AT, "row")
"""What people see of a letter."""


def schema() -> pa.Schema:
    """Describe dead letters.

    ``letter_id`` is the sha256 of arrival and line, ``name`` the file's, ``row`` the fields as they came (a JSON
    object), ``_date`` the UTC date of the arrival, ``_sequence`` that of a stream's micro-batch.
    """
    import pyarrow as pa

    text, instant = pa.string(), pa.timestamp("us", "UTC")
    came = [(ARRIVAL, text), (LINE, pa.int64()), (ARRIVED_AT, instant)]
    return pa.schema(
        [
            *((ID, text), ("reasons", pa.list_(text)), ("name", text), *came, ("row", text)),
            *((DATE, pa.date32()), (SEQUENCE, pa.int64())),
        ]
    )


def letters_of(bad: pa.Table, arrival: Arrival, number: int | None = None) -> pa.Table:
    """Make dead letters of one arrival's bad rows, of a stream with the number of their micro-batch."""
    import pyarrow as pa

    ids = [hashlib.sha256(key.encode()).hexdigest() for key in raw_rows.keys(bad).to_pylist()]
    name = pa.repeat(pa.scalar(arrival.name), len(bad))
    came = [bad[ARRIVAL], bad[LINE], bad[ARRIVED_AT]]
    row = pa.array(_as_json(bad), pa.string())
    numbers = pa.repeat(pa.scalar(number, pa.int64()), len(bad))
    columns = [pa.array(ids, pa.string()), bad["reasons"], name, *came, row, raw_rows.dates(bad[ARRIVED_AT]), numbers]
    return pa.Table.from_arrays(columns, schema=schema())


def rows_of(letters: pa.Table, contract: RowContract, known_at: datetime) -> pa.Table:
    """Read letters back into text rows of the contract's fields; ``_arrived_at`` is when they can be used at last."""
    import orjson
    import pyarrow as pa

    fields = [orjson.loads(row) for row in letters["row"].to_pylist()]
    wanted = [*(column.physical_name for column in contract.columns), MALFORMED]
    wanted += [DELETED] if any(row.get(DELETED) is not None for row in fields) else []
    texts = {name: pa.array([row.get(name) for row in fields], pa.string()) for name in wanted}
    carried = {ARRIVAL: letters[ARRIVAL], LINE: letters[LINE], ARRIVED_AT: raw_rows.instants(known_at, len(letters))}
    return pa.table({**texts, **carried})


def in_order(letters: pa.Table) -> pa.Table:
    """Put the newest arrivals first, then by file and line; the order is the same at every reading."""
    return letters.sort_by([(ARRIVED_AT, "descending"), ("name", "ascending"), (LINE, "ascending"), (ID, "ascending")])


def shown(letters: pa.Table) -> pa.Table:
    """Return what people see of letters.

    Returns:
        ``letter_id``, ``reasons`` (list<string>), ``name`` (of the file), ``line``, ``arrived_at`` (UTC, µs), ``row``
        (the fields as they came, a JSON object).
    """
    return letters.select(SHOWN).rename_columns([name.removeprefix("_") for name in SHOWN])


def _as_json(bad: pa.Table) -> list[str]:
    import orjson

    names = [name for name in bad.column_names if name not in ("reasons", MALFORMED, DELETED, *CARRIED)]
    fields = zip(*(bad[name].to_pylist() for name in names), strict=True)
    rows = [dict(zip(names, row, strict=True)) for row in fields]
    for ours in (MALFORMED, DELETED):
        for row, said in zip(rows, bad[ours].to_pylist() if ours in bad.column_names else (), strict=False):
            if said is not None:
                row[ours] = said
    return [orjson.dumps(row).decode() for row in rows]
