"""Columns that the platform adds to raw rows: arrival, knowledge time and date partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_source import refuse_reserved
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, DATE, LINE

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.specs.contracts.contract_file import RowContract


def stamped(rows: pa.Table, arrival: Arrival) -> pa.Table:
    """Add ``_arrival`` and ``_arrived_at`` to the rows of one arrival."""
    import pyarrow as pa

    refuse_reserved(rows.column_names, arrival.name, (ARRIVAL, ARRIVED_AT))
    size = len(rows)
    rows = rows.append_column(ARRIVAL, pa.repeat(pa.scalar(arrival.arrival_id), size))
    return rows.append_column(ARRIVED_AT, instants(arrival.arrived_at, size))


def known_at(rows: pa.Table, instant: datetime) -> pa.Table:
    """Say of rows that they were known from an instant on."""
    return rows.set_column(rows.column_names.index(ARRIVED_AT), ARRIVED_AT, instants(instant, len(rows)))


def no_rows(contract: RowContract) -> pa.Table:
    """Make a raw table without rows, typed by the contract, with the platform's columns."""
    import pyarrow as pa

    instant = pa.timestamp("us", "UTC")
    types = {
        "string": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": instant,
    }
    ours = {ARRIVAL: pa.string(), LINE: pa.int64(), ARRIVED_AT: instant, DATE: pa.date32()}
    columns = {column.name: types[column.type] for column in contract.columns}
    return pa.schema([*columns.items(), *ours.items()]).empty_table()


def instants(instant: datetime, size: int) -> pa.Array:
    """Repeat an instant (UTC, µs)."""
    import pyarrow as pa

    return pa.repeat(pa.scalar(instant, pa.timestamp("us", "UTC")), size)


def dated(rows: pa.Table, contract: RowContract) -> pa.Table:
    """Add ``_date``: the UTC date of the contract's first timestamp column, else of the arrival."""
    from pyarrow import compute

    first = contract.event_time or ARRIVED_AT
    return rows.append_column(DATE, dates(compute.coalesce(rows[first], rows[ARRIVED_AT])))


def dates(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return UTC dates of instants."""
    import pyarrow as pa
    from pyarrow import compute

    return compute.cast(times, pa.date32())


def keys(rows: pa.Table) -> pa.ChunkedArray:
    """Return ``arrival:line`` of each row, by which raw rows and dead letters are told apart."""
    import pyarrow as pa
    from pyarrow import compute

    return compute.binary_join_element_wise(rows[ARRIVAL], compute.cast(rows[LINE], pa.string()), ":")


def within(rows: pa.Table, wanted: pa.ChunkedArray, *, keep: bool = True) -> pa.Table:
    """Keep the rows whose key is among ``wanted``, or those whose key is not."""
    from pyarrow import compute

    among = compute.is_in(keys(rows), value_set=wanted)
    return rows.filter(among if keep else compute.invert(among))
