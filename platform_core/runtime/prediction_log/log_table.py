"""Prediction log as an Arrow table, read from a cursor."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cache
from itertools import chain, repeat
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log import Record

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
TAIL_BYTES = 64 * 1024
"""How much of a file's end is read at first to find its last frame."""


def read_after(root: Path, model: str, cursor: str | None) -> tuple[pa.Table, str]:
    """Read what every worker logged after a cursor.

    Returns:
        One row per entity asked, each worker's in its order (columns: ``schema``); and the next cursor.

    Raises:
        ContractBroken: the cursor is none.
    """
    import pyarrow as pa

    offsets = offsets_of(cursor)
    tables = []
    for file in sorted(log.log_folder(root, model).glob(f"*{log.SUFFIX}")):
        before = offsets.get(file.name, 0)
        if _size(file) > before:
            # by and by, because Python's garbage collector would walk over all records again and again
            for records, after in log.read(file, before):
                tables.append(table(records))
                offsets[file.name] = after
    return pa.concat_tables(tables or [_no_rows()]).combine_chunks(), msgspec.json.encode(offsets).decode()


def end_after(root: Path, model: str, cursor: str | None) -> str:
    """Return the cursor that ``read_after`` would, reading no more than the last frames of each file.

    Raises:
        ContractBroken: the cursor is none.
    """
    offsets = offsets_of(cursor)
    for file in sorted(log.log_folder(root, model).glob(f"*{log.SUFFIX}")):
        before = offsets.get(file.name, 0)
        if (end := _end(file, before)) > before:
            offsets[file.name] = end
    return msgspec.json.encode(offsets).decode()


@cache
def _no_rows() -> pa.Table:
    """Return what nothing new is; sensors ask for it again and again for each model."""
    return table([])


@cache
def schema() -> pa.Schema:
    """Return the columns of the log, as the serving contract names them."""
    import pyarrow as pa

    instant, text = pa.timestamp("us", tz="UTC"), pa.string()
    types = {
        "request_id": text,
        "row": pa.int32(),
        "event_time": instant,
        "logged_at": instant,
        "version": text,
        "cycle": text,
        "role": text,
        "status": pa.int32(),
        "latency_ms": pa.float64(),
        "score": pa.float64(),
        "keys": text,
        "features": text,
        "missing": pa.list_(text),
        "stale": pa.list_(text),
        "asked_at": instant,
        "beside_ms": pa.float64(),
        "raw": pa.list_(pa.float64()),
        "image": text,
    }
    return pa.schema(list(types.items()))


def table(records: Sequence[Record]) -> pa.Table:
    """Turn requests into rows."""
    import pyarrow as pa

    rows = [len(record.keys) for record in records]

    def repeated(name: str) -> list[Any]:
        return list(chain.from_iterable(map(repeat, map(attrgetter(name), records), rows)))

    def each(name: str) -> list[Any]:
        return list(chain.from_iterable(map(attrgetter(name), records)))

    columns = {
        "request_id": repeated("request_id"),
        "row": list(chain.from_iterable(map(range, rows))),
        "event_time": repeated("event_time_us"),
        "logged_at": repeated("logged_at_us"),
        "version": repeated("version"),
        "cycle": repeated("cycle"),
        "role": repeated("role"),
        "status": repeated("status"),
        "latency_ms": repeated("latency_ms"),
        "score": list(chain.from_iterable(map(_scores, records))),
        "keys": each("keys"),
        "features": each("features"),
        "missing": each("missing"),
        "stale": list(chain.from_iterable(map(_stale, records))),
        "asked_at": repeated("asked_at_us"),
        "beside_ms": repeated("beside_ms"),
        "raw": list(chain.from_iterable(map(_raw, records))),
        "image": repeated("image"),
    }
    wanted = schema()
    return pa.table([pa.array(columns[field.name], field.type) for field in wanted], schema=wanted)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # let go of since the folder was listed: whoever lets go knows that we have read it
        return 0


def _end(file: Path, before: int) -> int:
    """Return the offset behind the last whole frame; one that is torn, or still being written, is not behind it."""
    start, tail = _size(file), TAIL_BYTES
    while start > before:
        start = max(before, start - tail)
        last = deque(log.each(file, start), maxlen=1)
        if last:
            return last[0][1]
        tail *= 8  # a frame of many rows may be longer
    return before


def _stale(record: Record) -> Sequence[list[str] | None]:
    return record.stale or [None] * len(record.keys)


def _scores(record: Record) -> Sequence[float | None]:
    return record.scores or [None] * len(record.keys)


def _raw(record: Record) -> Sequence[list[float] | None]:
    return record.raw or [None] * len(record.keys)


def offsets_of(cursor: str | None) -> dict[str, int]:
    """Return how far a cursor has read each file, in bytes by its name.

    Raises:
        ContractBroken: the cursor is none.
    """
    return decoded(cursor, dict[str, int])


def decoded(cursor: str | None, places: type[T]) -> T:
    """Return the places that a cursor names, by what is read; none of the cursor that is None.

    Raises:
        ContractBroken: the cursor is none.
    """
    if cursor is None:
        return places()
    try:
        return msgspec.json.decode(cursor, type=places)
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"{cursor!r} is no cursor of a prediction log", "start again with None") from error
