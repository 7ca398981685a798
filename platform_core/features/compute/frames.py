"""Shared code of engines: calls a team's function, casts its columns, and attributes its errors."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from loopline.platform_core.errors import ContractBroken, InvalidSpec, LooplineError, TaskFailed

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa

    from loopline.platform_core.specs.views.features import FrameFunction

PLAIN = "return whole numbers, numbers, text, truth values, or lists of numbers or of texts"


class Frames(Protocol):
    """What an engine brings to run declarations: its way in from Arrow, and its way out."""

    def ordered(self, rows: pa.Table, by: Sequence[str], together: str | None) -> nw.LazyFrame[Any]:
        """Take rows in, sorted by all columns, ``by`` first: whatever adds floats up adds them in one order.

        An engine that spreads rows over machines keeps those with one value of ``together`` on one.
        """

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run a frame to its end; its order stays."""


def run(compute: FrameFunction, rows: nw.LazyFrame[Any], what: str) -> tuple[nw.LazyFrame[Any], nw.Schema]:
    """Call a team's function on the contract's columns; its frame comes back not yet collected."""
    kept = [name for name in rows.collect_schema() if not name.startswith("_")]
    with blaming(compute, what):
        computed = compute(rows.select(kept))
        return computed, computed.collect_schema()


@contextmanager
def blaming(compute: FrameFunction, what: str) -> Iterator[None]:
    """Turn what a function raises, at once or when its frame is collected, into ``TaskFailed`` with the place."""
    try:
        yield
    except LooplineError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise TaskFailed(f"{what} raised {said}", f"mend the function at {_place(compute, error)}") from error


def _place(compute: FrameFunction, error: Exception) -> str:
    """Return the function's own line that raised; its first where a lazy frame failed later."""
    code = getattr(compute, "__code__", None)
    if code is None:
        return repr(compute)
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
    return f"{code.co_filename}:{own[-1] if own else code.co_firstlineno}"


def demand(columns: Sequence[str], names: Sequence[str], what: str) -> None:
    """Refuse a frame that lacks columns.

    Raises:
        InvalidSpec: with all that it lacks, and the columns that there are.
    """
    missing = [repr(name) for name in names if name not in columns]
    if missing:
        raise InvalidSpec(f"{what}: no column {', '.join(missing)}", f"use one of {', '.join(columns)}")


def instant(schema: nw.Schema, name: str, alias: str, what: str) -> nw.Expr:
    """Read a column as an instant in UTC µs."""
    import narwhals as nw

    kind, column, utc = schema[name], nw.col(name), nw.Datetime("us", "UTC")
    if not isinstance(kind, nw.Datetime) or kind.time_zone is None:
        raise ContractBroken(f"{what}: {name!r} is {kind}, no instant in UTC", "give a timestamp with time zone UTC")
    if kind.time_zone != "UTC":
        column = column.dt.convert_time_zone("UTC")
    return (column if kind == utc else column.cast(utc)).alias(alias)


def plain(schema: nw.Schema, name: str, what: str) -> nw.Expr:
    """Type a column as int64, float64, string or truth value: what the lake, the store and the model share."""
    import narwhals as nw

    kind = schema[name]
    for test, wanted in (
        (kind.is_integer(), nw.Int64()),
        (kind.is_numeric(), nw.Float64()),
        (kind in (nw.String, nw.Categorical, nw.Enum), nw.String()),
        (kind in (nw.Boolean, nw.Unknown), kind),  # of a column without any value no type is known: see ``settled``
    ):
        if test:
            return nw.col(name) if kind == wanted else nw.col(name).cast(wanted)
    raise ContractBroken(f"{what}: column {name!r} is {kind}", PLAIN)


def feature(schema: nw.Schema, name: str, what: str) -> nw.Expr:
    """Type a feature as ``plain`` does, or as a list of float64 or of texts."""
    import narwhals as nw

    kind = schema[name]
    if isinstance(kind, nw.List | nw.Array) and _of_numbers(kind.inner):
        return nw.col(name).cast(nw.List(nw.Float64()))
    if isinstance(kind, nw.List | nw.Array) and kind.inner in {nw.String, nw.Categorical, nw.Enum}:
        return nw.col(name).cast(nw.List(nw.String()))
    return plain(schema, name, what)


def _of_numbers(inner: Any) -> bool:
    return bool(inner.is_numeric())


def settled(table: pa.Table, what: str) -> pa.Table:
    """Give each collected column its one Arrow type; a column of nulls alone is a number, an empty list is null."""
    import pyarrow as pa

    fields = [pa.field(field.name, _settled(field, what)) for field in table.schema]
    found = table.cast(pa.schema(fields)).combine_chunks()
    for place, field in enumerate(found.schema):
        if pa.types.is_list(field.type):
            whole = _whole(found.column(field.name), f"{what}: column {field.name!r}")
            found = found.set_column(place, field, whole)
    return found


def _whole(column: pa.ChunkedArray, which: str) -> pa.ChunkedArray:
    """Let an empty list be null: no request can send one, so no model may learn from one.

    Raises:
        ContractBroken: a list has holes.
    """
    import pyarrow as pa
    from pyarrow import compute

    if compute.list_flatten(column).null_count:
        raise ContractBroken(f"{which} holds lists with nulls inside", "return null in place of the whole list")
    empty = compute.equal(compute.list_value_length(column), 0)
    return compute.if_else(empty, pa.scalar(None, column.type), column) if compute.any(empty).as_py() else column


def _settled(field: pa.Field, what: str) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_null(field.type):
        return pa.float64()
    if pa.types.is_timestamp(field.type):
        return pa.timestamp("us", "UTC")
    if _is_text(field.type):
        return pa.string()
    if _is_list(field.type) and (
        pa.types.is_floating(field.type.value_type) or pa.types.is_integer(field.type.value_type)
    ):
        return pa.list_(pa.float64())
    if _is_list(field.type) and _is_text(field.type.value_type):
        return pa.list_(pa.string())
    if field.type in (pa.int64(), pa.float64(), pa.string(), pa.bool_()):
        return field.type
    raise ContractBroken(f"{what}: column {field.name!r} is {field.type}", PLAIN)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
