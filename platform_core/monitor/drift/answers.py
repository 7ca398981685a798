"""Reader of answered requests of a version or endpoint from the lake, in order of event time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.contracts.serving import MOST_AHEAD, SHADOW_ROLE
from loopline.platform_core.foundation.names import ModelRef, prediction_table
from loopline.platform_core.monitor.drift.drift_windows import Place
from loopline.platform_core.runtime.prediction_log import log_table

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import Lake

COLUMNS = ("event_time", "request_id", "row", "version", "score", "features")


def answers(  # noqa: PLR0913, PLR0917 - rows are of a model's version, between two places
    lake: Lake,
    ref: ModelRef,
    version: str | None,
    after: Place | None,
    until: Place | None = None,
    columns: Sequence[str] = COLUMNS,
) -> pa.Table:
    """Read the answered rows of a version after one place up to another, in order; ``columns`` hold ``COLUMNS``.

    Without a version they are those of every version.

    What a shadow said is left out: no caller met it, and what was asked would count twice. So is what happened more
    than a day after it was answered, and a row that comes in after its place was judged: windows never change. A
    column of the log that the table does not have yet is null.
    """
    table = prediction_table(*ref)
    if lake.version(table) is None:
        return log_table.schema().empty_table().select(columns)
    held = lake.read(table, until=date.min).column_names  # columns that came later are not there before their first row
    wanted = [name for name in held if name in {*columns, "role", "logged_at"}]
    rows = lake.read(table, columns=wanted, since=_day(after), until=_day(until))
    for name in set(columns) - set(held):
        rows = rows.append_column(name, pa.nulls(len(rows), log_table.schema().field(name).type))
    rows = rows.filter(pc.is_valid(rows.column("score")))
    rows = rows.filter(pc.equal(rows.column("version"), version)) if version is not None else rows
    rows = rows.filter(pc.not_equal(rows.column("role"), SHADOW_ROLE))
    rows = rows.filter(_happened(rows))
    if after is not None:
        rows = rows.filter(_beyond(rows, after))
    if until is not None:
        rows = rows.filter(pc.invert(_beyond(rows, until)))
    return rows.select(columns).sort_by([(name, "ascending") for name in Place._fields])


def resumed(lake: Lake, ref: ModelRef, where: Place, noted_at: datetime) -> Place:
    """Return where to read on behind a place that was noted at an instant.

    That is the place itself, unless its row is one that ``answers`` leaves out now: then all rows up to the instant
    were judged with it.
    """
    table, day = prediction_table(*ref), _day(where)
    if datetime.fromisoformat(where.event_time) <= noted_at + MOST_AHEAD or lake.version(table) is None:
        return where
    rows = lake.read(table, columns=[*Place._fields, "logged_at"], since=day, until=day)
    ahead = rows.filter(pc.invert(_happened(rows))).select(Place._fields)
    is_ahead = any(place(ahead.slice(row, 1)) == where for row in range(len(ahead)))
    return Place(noted_at.isoformat(), "", 0) if is_ahead else where


def place(rows: pa.Table) -> Place:
    """Return the place of the last row."""
    last = rows.slice(rows.num_rows - 1).to_pylist()[0]
    return Place(last["event_time"].isoformat(), last["request_id"], last["row"])


def _day(where: Place | None) -> date | None:
    return datetime.fromisoformat(where.event_time).date() if where else None


def _happened(rows: pa.Table) -> pa.ChunkedArray:
    """Mark the rows that are not too far ahead of their answer."""
    ahead = pc.subtract(rows.column("event_time"), rows.column("logged_at"))
    return pc.less_equal(ahead, pa.scalar(MOST_AHEAD))


def _beyond(rows: pa.Table, where: Place) -> pa.ChunkedArray:
    """Mark the rows that come after a place."""
    instant = pa.scalar(datetime.fromisoformat(where.event_time), rows.schema.field("event_time").type)
    times, requests, numbers = (rows.column(name) for name in Place._fields)
    same_request = pc.and_(pc.equal(requests, where.request_id), pc.greater(numbers, where.row))
    same_instant = pc.and_(pc.equal(times, instant), pc.or_(pc.greater(requests, where.request_id), same_request))
    return pc.or_(pc.greater(times, instant), same_instant)
