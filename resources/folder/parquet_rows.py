"""Parquet reader: rows as text, so that one contract holds for every file format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_source import MALFORMED, refuse_reserved
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LINE

if TYPE_CHECKING:
    import pyarrow as pa

INSTANT = "%Y-%m-%dT%H:%M:%S"


def read_rows(data: bytes, name: str) -> pa.Table:
    """Read text columns, ``_line`` (the row's number, from 1) and ``_malformed``, which is null.

    Instants are ISO 8601, in UTC where they have a zone; what is nested is JSON.

    Raises:
        ContractBroken: it is no Parquet file, names a column twice, or a column is no text and cannot be made so.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows = parquet.read_table(pa.BufferReader(data))
        if len(set(rows.column_names)) < len(rows.column_names):
            raise ContractBroken(f"{name}: a column's name stands twice", "write each column's name once")
        refuse_reserved(rows.column_names, name)
        texts = {field: _text(rows[field]) for field in rows.column_names}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ContractBroken(f"{name} cannot be read as Parquet: {error}", "send a whole Parquet file") from error
    lines = pa.array(range(1, len(rows) + 1), pa.int64())
    return pa.table({**texts, LINE: lines, MALFORMED: pa.nulls(len(rows), pa.string())})


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return _instants(column)
    if pa.types.is_nested(kind):
        return _as_json(column)
    if pa.types.is_floating(kind):
        column = compute.if_else(compute.is_nan(column), pa.scalar(None, kind), column)  # pandas' missing
    return column.cast(pa.string())


def _instants(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    zone = column.type.tz
    plain = column.cast(pa.timestamp("us", "UTC" if zone else None), safe=False)
    text = compute.strftime(plain, format=INSTANT)
    return compute.binary_join_element_wise(text, pa.scalar("+00:00" if zone else ""), "")


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import orjson
    import pyarrow as pa

    held = [None if value is None else orjson.dumps(value, default=str).decode() for value in column.to_pylist()]
    return pa.chunked_array([pa.array(held, pa.string())])
