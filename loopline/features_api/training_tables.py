"""Table formats of training sets over HTTP: JSON columns, Arrow stream, and NDJSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from loopline.features_api.serving_requests import in_utc
from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.online import as_text
from loopline.platform_core.foundation.names import EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"


def from_columns(columns: Mapping[str, list[Any]]) -> pa.Table:
    """Make a table of JSON's columns; ``event_time`` is ISO 8601 with a zone.

    Raises:
        BadRequest: columns differ in length, mix types, or a time is none.
    """
    import pyarrow as pa

    typed = {name: _instants(values) if name == EVENT_TIME else values for name, values in columns.items()}
    try:
        return pa.table(typed)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise BadRequest(f"the rows make no table: {error}", "send columns of one length, each of one type") from error


def from_arrow(body: bytes) -> pa.Table:
    """Read an Arrow IPC stream.

    Raises:
        BadRequest: it is none.
    """
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(body).read_all()
    except pa.ArrowInvalid as error:
        raise BadRequest(f"the body is no Arrow stream: {error}", f"send {ARROW}, or JSON") from error


def as_arrow(table: pa.Table) -> bytes:
    """Write an Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def as_ndjson(table: pa.Table) -> bytes:
    """Write a JSON object a row, keys in the order of columns, times as in online answers."""
    names, columns = table.column_names, [_plain(column) for column in table.columns]
    option = orjson.OPT_APPEND_NEWLINE
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    return b"".join(orjson.dumps(row, default=str, option=option) for row in rows)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        plain: list[Any] = column.to_pylist()
        return plain
    return as_text(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist())


def _instants(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        times = [None if value is None else in_utc(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest(f"{EVENT_TIME!r} holds what is no time in UTC: {error}", _IN_UTC) from error
    return pa.array(times, pa.timestamp("us", "UTC"))


_IN_UTC = "send ISO 8601 in UTC, such as 2026-01-31T12:00:00Z"
