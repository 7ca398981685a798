"""Profile of a landing: volume, event times, and of each column nulls, range, mean and categories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import ARRIVAL, SEQUENCE

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import Column, RowContract

FEW_CATEGORIES = 50
"""A text column with more distinct values than that in a landing is not one of categories."""
HOUR, DAY = 3_600, 86_400
BLOCK_SECONDS = (HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY, 91 * DAY, 365 * DAY)
"""Lengths of the blocks into which a landing with a history of its own is cut, by the time of its events."""
MOST_BLOCKS = 31
FIGURES = ("minimum", "maximum", "mean", "low", "middle", "high")
NUMBERS = ("integer", "number", "boolean")


@dataclass(frozen=True)
class ColumnProfile:
    """One column in one landing.

    Figures are for numbers, and for truth as 0 and 1; ``low``, ``middle`` and ``high`` are quartiles. ``categories``
    counts the values of a text column that has few of them. What cannot be said is None.
    """

    nulls: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    categories: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Landing:
    """One landing: the version of the raw table that it made, accepted rows, and their columns by name.

    ``newest`` is the newest event of these rows that had happened by ``landed_at``, ``oldest`` the oldest (None: there
    is none). ``numbers`` are the first and the last sequence number of its rows. ``blocks`` are its consecutive blocks
    by their length in seconds, where it was cut, each a ``block``. A ``correction`` brought mostly keys that had come
    before. ``let_go`` was doubted until a person let a cycle learn from it.
    """

    version: int
    landed_at: datetime
    contract: str
    arrivals: int
    rows: int
    newest: datetime | None
    columns: Mapping[str, ColumnProfile]
    oldest: datetime | None = None
    numbers: tuple[int, int] | None = None
    blocks: Mapping[int, tuple[Landing, ...]] = field(default_factory=dict)
    block: bool = False
    correction: bool = False
    let_go: bool = False


def profile(rows: pa.Table, contract: RowContract, version: int, now: datetime) -> Landing:
    """Describe the raw rows of a landing, of which there are some."""
    arrivals, (oldest, newest) = len(rows[ARRIVAL].unique()), _events(rows, contract, now)
    columns = {c.name: _column(rows[c.name], c) for c in contract.columns if c.name in rows.column_names}
    found = Landing(version, now, contract.version, arrivals, len(rows), newest, columns, oldest)
    return replace(found, numbers=_numbers(rows)) if SEQUENCE in rows.column_names else found


def with_blocks(landing: Landing, rows: pa.Table, contract: RowContract) -> Landing:
    """Cut a landing of rows into blocks of each length of which it has two whole ones, at most ``MOST_BLOCKS`` newest.

    So a first file with the history of years says what is usual of a week.
    """
    if landing.oldest is None or landing.newest is None:
        return landing
    seconds = (landing.newest - landing.oldest).total_seconds()
    lengths = [length for length in BLOCK_SECONDS if seconds >= 2 * length]
    return replace(landing, blocks={length: tuple(_blocks(landing, rows, contract, length)) for length in lengths})


def _blocks(landing: Landing, rows: pa.Table, contract: RowContract, length: int) -> Iterator[Landing]:
    """Describe the whole blocks of a length; the last one is whole only by chance, and is left out."""
    import pyarrow as pa
    from pyarrow import compute

    instants = rows[contract.event_time].cast(pa.timestamp("us", "UTC"))
    since = pa.scalar(landing.oldest, pa.timestamp("us", "UTC"))
    passed = compute.subtract(instants, since).cast(pa.int64())
    within = compute.less_equal(instants, pa.scalar(landing.newest, pa.timestamp("us", "UTC")))
    places = compute.divide(passed.filter(within), length * 1_000_000)
    known = rows.filter(within)
    for place in sorted(compute.unique(places.drop_null()).to_pylist())[:-1][-MOST_BLOCKS:]:
        own = known.filter(compute.equal(places, place))
        yield replace(profile(own, contract, landing.version, landing.landed_at), numbers=None, block=True)


def _numbers(rows: pa.Table) -> tuple[int, int] | None:
    from pyarrow import compute

    ends = compute.min_max(rows[SEQUENCE]).as_py()
    return None if ends["min"] is None else (ends["min"], ends["max"])


def schema() -> pa.Schema:
    """Describe the table of landings: a row a landing, block and column, ``categories`` as a JSON object.

    ``block_seconds`` and ``block`` are null for a landing as a whole. The table has no ``_date``: the rows are few, and
    tidying may merge them across days.
    """
    import pyarrow as pa

    instant, text, whole, number = pa.timestamp("us", "UTC"), pa.string(), pa.int64(), pa.float64()
    landing = [("raw_version", whole), ("landed_at", instant), ("contract", text), ("arrivals", whole), ("rows", whole)]
    column = [("column", text), ("nulls", whole), *((name, number) for name in FIGURES)]
    since = [("oldest_event", instant), ("first_number", whole), ("last_number", whole)]
    block = [("block_seconds", whole), ("block", whole), ("correction", pa.bool_())]
    return pa.schema([*landing, ("newest_event", instant), *column, ("categories", text), *since, *block])


def to_table(landing: Landing) -> pa.Table:
    """Lay a landing and its blocks out as rows."""
    import pyarrow as pa

    rows = list(_rows(landing, None, None))
    for length, blocks in landing.blocks.items():
        rows += [row for place, block in enumerate(blocks) for row in _rows(block, length, place)]
    return pa.Table.from_pylist(rows, schema=schema())


def _rows(landing: Landing, length: int | None, place: int | None) -> Iterator[dict[str, Any]]:
    import orjson

    of_all = [landing.version, landing.landed_at, landing.contract, landing.arrivals, landing.rows, landing.newest]
    last = [landing.oldest, *(landing.numbers or (None, None)), length, place, landing.correction]
    names = schema().names
    for name, c in landing.columns.items():
        categories = None if c.categories is None else orjson.dumps(c.categories).decode()
        figures = [getattr(c, figure) for figure in FIGURES]
        row = [*of_all, name, c.nulls, *figures, categories, *last]
        yield dict(zip(names, row, strict=True))


def from_table(table: pa.Table) -> list[Landing]:
    """Read landings back, oldest first."""
    every = table.to_pylist()
    every.sort(key=lambda row: (row["raw_version"], row["block_seconds"] or 0, row["block"] or 0))
    found: list[Landing] = []
    for (_, length, _), rows in groupby(every, lambda row: (row["raw_version"], row["block_seconds"], row["block"])):
        one = _landing(list(rows))
        if length is None:
            found.append(one)
        else:
            whole = found[-1]
            found[-1] = replace(whole, blocks={**whole.blocks, length: (*whole.blocks.get(length, ()), one)})
    return found


def _landing(rows: Sequence[Mapping[str, Any]]) -> Landing:
    import orjson

    one = rows[0]
    columns = {row["column"]: _described(row, orjson.loads) for row in rows}
    counts = one["contract"], one["arrivals"], one["rows"]
    numbers = None if one["first_number"] is None else (one["first_number"], one["last_number"])
    found = Landing(one["raw_version"], one["landed_at"], *counts, one["newest_event"], columns)
    block, correction = one["block"] is not None, bool(one["correction"])
    return replace(found, oldest=one["oldest_event"], numbers=numbers, block=block, correction=correction)


def _described(row: Mapping[str, Any], loads: Callable[[str], Any]) -> ColumnProfile:
    categories = loads(row["categories"]) if row["categories"] else None
    return ColumnProfile(row["nulls"], **{name: row[name] for name in FIGURES}, categories=categories)


def _events(rows: pa.Table, contract: RowContract, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the oldest and newest event; one yet to come is a mistake and would hide how old the others are."""
    import pyarrow as pa
    from pyarrow import compute

    if contract.event_time is None or contract.event_time not in rows.column_names:
        return None, None
    times = rows[contract.event_time]
    past = compute.less_equal(times, pa.scalar(now, pa.timestamp("us", "UTC")))
    ends = compute.min_max(times.filter(past)).as_py()
    return ends["min"], ends["max"]


def _column(values: pa.ChunkedArray, column: Column) -> ColumnProfile:
    import pyarrow as pa
    from pyarrow import compute

    nulls = values.null_count
    if column.type in NUMBERS and nulls < len(values):
        numbers = values.cast(pa.int8() if column.type == "boolean" else values.type).cast(pa.float64())
        numbers = numbers.filter(compute.is_finite(numbers))
        if not len(numbers):
            return ColumnProfile(nulls)
        ends, mean = compute.min_max(numbers).as_py(), compute.mean(numbers).as_py()
        quartiles = compute.quantile(numbers, [0.25, 0.5, 0.75], interpolation="nearest").to_pylist()
        return ColumnProfile(nulls, ends["min"], ends["max"], mean, *quartiles)
    if column.type == "string":
        return ColumnProfile(nulls, categories=_categories(values))
    return ColumnProfile(nulls)


def _categories(values: pa.ChunkedArray) -> dict[str, int] | None:
    """Count values where they are few; what is not few is noticed on the first of the rows."""
    from pyarrow import compute

    for some in (values.slice(0, 100 * FEW_CATEGORIES), values):
        distinct = compute.count_distinct(some, mode="only_valid").as_py()
        if distinct > FEW_CATEGORIES:
            return None
    counted = values.drop_null().value_counts()
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
