"""Offline computation of windowed features: replays raw rows through the state that stream scoring keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.foundation.collection import no_collection
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, LINE, OP
from loopline.platform_core.specs.views.window_state import WindowState

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from loopline.platform_core.specs.views.windows import Window, Windows

STREAM = "stream:"
"""How the arrivals begin that are partitions of a stream; what follows is the source and the partition."""


def windowed(windows: Windows, raw: pa.Table) -> pa.Table:
    """Compute the features of raw rows.

    Rows of a stream's partition are taken as they came, by their offsets, each partition by itself; others by time,
    and at one time as they stand in their arrivals.

    Returns:
        A row an event: entity, time, features; events without entity, ``by`` or time are left out.

    Raises:
        InvalidSpec: a column is missing. ContractBroken: one has a type that no window can look at.
    """
    import pyarrow as pa

    _demand(windows, raw)
    types = {name: _type(window, raw) for name, window in windows.features}
    entity = _plain(raw.schema.field(windows.entity).type, windows.entity)
    rows: dict[tuple[Any, int], tuple[Any, ...]] = {}
    with no_collection():
        for state, events in _partitions(windows, _events(windows, raw)):
            for by, at_us, name, *values in events:
                features = state.add(by, at_us, name, values)
                if features is not None:  # else it came before; of two partitions that have it the first one's counts
                    rows.setdefault((name, at_us), features)
    columns = zip(*rows.values(), strict=True) if rows else [()] * len(types)
    found = {name: pa.array(list(column), types[name]) for name, column in zip(types, columns, strict=True)}
    moments = pa.array([at_us for _, at_us in rows], pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table({windows.entity: pa.array([name for name, _ in rows], entity), windows.time: moments, **found})


def event_columns(windows: Windows) -> list[str]:
    """Name the columns of an event: ``by``, time, entity, and those that windows look at."""
    return [windows.by, windows.time, windows.entity, *windows.columns]


def _partitions(windows: Windows, events: pa.Table) -> Iterator[tuple[WindowState, Iterator[tuple[Any, ...]]]]:
    """Give events by whose state they belong to, in the order in which they came."""
    from pyarrow import compute

    by_offset = compute.starts_with(events[ARRIVAL], STREAM)
    streamed, others = events.filter(by_offset), events.filter(compute.invert(by_offset))
    order = [(name, "ascending") for name in (windows.time, ARRIVED_AT, ARRIVAL, LINE, windows.entity)]
    yield WindowState(windows), _rows(windows, others.sort_by(order))
    for arrival in sorted(compute.unique(streamed[ARRIVAL]).to_pylist()):
        own = streamed.filter(compute.equal(streamed[ARRIVAL], arrival))
        yield WindowState(windows), _rows(windows, own.sort_by(LINE))


def _rows(windows: Windows, events: pa.Table) -> Iterator[tuple[Any, ...]]:
    columns = [events[name] for name in event_columns(windows)]
    columns[1] = columns[1].cast("int64")
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _events(windows: Windows, raw: pa.Table) -> pa.Table:
    """Take what brings values and has keys and time; what says nothing of its arrival is an arrival of its own."""
    import pyarrow as pa
    from pyarrow import compute

    rows = raw.filter(raw[OP].is_null()) if OP in raw.column_names else raw
    stamps = {ARRIVAL: pa.scalar(""), LINE: pa.scalar(0, pa.int64()), ARRIVED_AT: pa.scalar(0, pa.int64())}
    for name, value in stamps.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.repeat(value, len(rows)))
    wanted = dict.fromkeys([*event_columns(windows), *stamps])
    rows = rows.select([*wanted]).set_column(
        rows.select([*wanted]).column_names.index(windows.time),
        windows.time,
        compute.cast(rows[windows.time], pa.timestamp("us", "UTC")),
    )
    for name in (windows.by, windows.time, windows.entity):
        rows = rows.filter(rows[name].is_valid())
    return rows.set_column(rows.column_names.index(ARRIVAL), ARRIVAL, compute.fill_null(rows[ARRIVAL], ""))


def _demand(windows: Windows, raw: pa.Table) -> None:
    import pyarrow as pa

    missing = [name for name in event_columns(windows) if name not in raw.column_names]
    if missing:
        raise InvalidSpec(f"windows: no column {missing[0]!r}", f"use one of {', '.join(raw.column_names)}")
    kind = raw.schema.field(windows.time).type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        raise ContractBroken(f"windows: {windows.time!r} is {kind}, no instant in UTC", "give a timestamp in UTC")


def _type(window: Window, raw: pa.Table) -> pa.DataType:
    import pyarrow as pa

    if window.kind in {"count", "distinct"}:
        return pa.int64()
    if window.kind == "since":
        return pa.float64()
    kind = _plain(raw.schema.field(window.column).type, window.column)
    if window.kind in {"last", "before", "own"}:
        return kind
    if pa.types.is_string(kind):
        raise ContractBroken(f"windows: {window.kind} of {window.column!r}, which is text", "take a column of numbers")
    return pa.float64()


def _plain(kind: pa.DataType, name: str) -> pa.DataType:
    import pyarrow as pa

    for test, wanted in (
        (pa.types.is_boolean, pa.bool_()),
        (pa.types.is_integer, pa.int64()),
        (pa.types.is_floating, pa.float64()),
        (pa.types.is_string, pa.string()),
        (pa.types.is_large_string, pa.string()),
        (pa.types.is_null, pa.float64()),
    ):
        if test(kind):
            return wanted
    raise ContractBroken(f"windows: column {name!r} is {kind}", "take numbers, text or truth values")
