"""Mapping of Arrow types to PostgreSQL's, and rows in and out by COPY."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from loopline.platform_core.errors import ContractBroken
from loopline.resources.tables.session import quoted

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_NAME = 63
"""Bytes of a name; PostgreSQL cuts what is longer."""
ADDED, GONE = "_added", "_gone"
_TAKEN = frozenset({ADDED, GONE, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
_PLAIN = {
    "string": "text",
    "int64": "bigint",
    "int32": "integer",
    "int16": "smallint",
    "int8": "smallint",
    "double": "double precision",
    "float": "real",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamptz",
    "binary": "bytea",
}
_MARKED = (("\ue000", "\ue000\ue001"), ("\0", "\ue000\ue002"))
"""A NUL, which PostgreSQL keeps in no text, stands there as two signs that nobody uses, and the first of them too."""
_ODD = "[\\x00\ue000]"
_EPOCH = "(extract(epoch FROM {0}) * 1000000)::bigint"


def type_of(table: str, column: str, kind: pa.DataType) -> str:
    """Return the type that keeps a column.

    Raises:
        ContractBroken: there is none, or the column's name is one that PostgreSQL cannot keep.
    """
    from pyarrow import types

    if len(column.encode()) > LONGEST_NAME or column in _TAKEN or not column:
        fix = f"call it otherwise; a name has at most {LONGEST_NAME} bytes"
        raise ContractBroken(f"{table}: PostgreSQL keeps no column {column!r}", fix)
    if types.is_decimal128(kind):
        return f"numeric({kind.precision},{kind.scale})"
    inner = kind.value_type if types.is_list(kind) else kind
    found = _PLAIN.get(str(inner))
    if found is None or (inner is not kind and found in {"date", "timestamptz", "bytea"}):
        fix = "keep it as text, in columns of their own, or bind the lake 'delta'"
        raise ContractBroken(f"{table}: column {column!r} is {kind}, which PostgreSQL does not keep here", fix)
    return f"{found}[]" if inner is not kind else found


def copied_in(rows: pa.Table, version: int) -> io.BytesIO:
    """Write rows, each behind the version that adds it, as CSV for COPY: text is quoted, null is not."""
    import pyarrow as pa
    from pyarrow import csv

    added = pa.repeat(version, len(rows))
    columns = [added, *(_written(rows[name]) for name in rows.column_names)]
    # in one piece: of columns whose first piece is empty pyarrow 26 writes zeros
    held = pa.table(columns, names=[*map(str, range(len(columns)))]).combine_chunks()
    sink = io.BytesIO()
    csv.write_csv(held, sink, csv.WriteOptions(include_header=False))
    sink.seek(0)
    return sink


def read_as(column: str, kind: pa.DataType) -> str:
    """Return what is selected for a column, so that it is read back exactly."""
    from pyarrow import types

    name = quoted(column)
    if types.is_timestamp(kind):
        return _EPOCH.format(name)
    if types.is_date(kind):
        return f"{name} - date '1970-01-01'"
    if types.is_binary(kind):
        return f"encode({name}, 'hex')"
    return f"array_to_json({name})" if types.is_list(kind) else name


def copied_out(content: io.BytesIO, schema: pa.Schema) -> pa.Table:
    """Read what COPY gave of columns that were selected so."""
    import pyarrow as pa
    from pyarrow import csv

    if not content.getbuffer().nbytes:
        return schema.empty_table()
    names = [*map(str, range(len(schema)))]
    convert = csv.ConvertOptions(
        column_types={name: _carried(field.type) for name, field in zip(names, schema, strict=True)},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
    )
    parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)  # which are nulls of a lone column
    block = csv.ReadOptions(column_names=names, block_size=64 << 20)
    rows = csv.read_csv(content, block, parse, convert)
    columns = [_read(rows[name], field.type) for name, field in zip(names, schema, strict=True)]
    return pa.table(columns, schema=schema)


def marked(text: str) -> str:
    """Write a text as it is kept."""
    for was, stands in _MARKED:
        text = text.replace(was, stands)
    return text


def _unmarked(value: Any) -> Any:
    if isinstance(value, str):
        for was, stands in reversed(_MARKED):
            value = value.replace(stands, was)
    return value


def _replaced(column: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    import pyarrow.compute as pc

    for was, stands in pairs:
        column = pc.replace_substring(column, was, stands)
    return column


def _written(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kind = column.type
    if types.is_string(kind):
        return _replaced(column, _MARKED) if pc.any(pc.match_substring_regex(column, _ODD)).as_py() else column
    if types.is_binary(kind):
        return pa.array([None if each is None else "\\x" + each.hex() for each in column.to_pylist()], pa.string())
    if types.is_list(kind):
        return pa.array([None if each is None else _array(each) for each in column.to_pylist()], pa.string())
    return column


def _array(values: Iterable[Any]) -> str:
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + marked(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _carried(kind: pa.DataType) -> pa.DataType:
    """Return the type as which COPY's text is read."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_timestamp(kind):
        return pa.int64()
    if types.is_date(kind):
        return pa.int32()
    return pa.string() if types.is_binary(kind) or types.is_list(kind) else kind


def _read(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_binary(kind):
        return pa.array([None if each is None else bytes.fromhex(each) for each in column.to_pylist()], kind)
    if types.is_list(kind):
        is_number = types.is_floating(kind.value_type)
        lists = (None if each is None else orjson.loads(each) for each in column.to_pylist())
        return pa.array([each and (_numbers(each) if is_number else [*map(_unmarked, each)]) for each in lists], kind)
    if types.is_string(kind) and pc.any(pc.match_substring(column, _MARKED[0][0])).as_py():
        return _replaced(column, [(stands, was) for was, stands in reversed(_MARKED)])
    return column.cast(kind)


def _numbers(values: Sequence[Any]) -> list[float | None]:
    """Read numbers, of which JSON has no word for some."""
    return [None if each is None else math.nan if each == "NaN" else float(each) for each in values]
