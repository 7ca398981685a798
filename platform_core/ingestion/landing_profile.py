"""What a landing was like: volume, newest event, and of each column nulls, range, mean and categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import ARRIVAL

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.specs.contract_file import Column, RowContract

FEW_CATEGORIES = 50
"""A text column with more distinct values than that in a landing is not one of categories."""
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

    ``newest`` is the newest event of these rows that had happened by ``landed_at`` (None: no such event).
    """

    version: int
    landed_at: datetime
    contract: str
    arrivals: int
    rows: int
    newest: datetime | None
    columns: Mapping[str, ColumnProfile]


def profile(rows: pa.Table, contract: RowContract, version: int, now: datetime) -> Landing:
    """Describe the raw rows of a landing, of which there are some."""
    arrivals, newest = len(rows[ARRIVAL].unique()), _newest(rows, contract, now)
    columns = {c.name: _column(rows[c.name], c) for c in contract.columns if c.name in rows.column_names}
    return Landing(version, now, contract.version, arrivals, len(rows), newest, columns)


def schema() -> pa.Schema:
    """Describe the table of landings: a row a landing and column, ``categories`` as a JSON object.

    It has no ``_date``: the rows are few, and tidying may merge them across days.
    """
    import pyarrow as pa

    instant, text, whole, number = pa.timestamp("us", "UTC"), pa.string(), pa.int64(), pa.float64()
    landing = [("raw_version", whole), ("landed_at", instant), ("contract", text), ("arrivals", whole), ("rows", whole)]
    column = [("column", text), ("nulls", whole), *((name, number) for name in FIGURES)]
    return pa.schema([*landing, ("newest_event", instant), *column, ("categories", text)])


def to_table(landing: Landing) -> pa.Table:
    """Lay a landing out as rows."""
    import orjson
    import pyarrow as pa

    of_all = [landing.version, landing.landed_at, landing.contract, landing.arrivals, landing.rows, landing.newest]
    rows = []
    for name, c in landing.columns.items():
        categories = None if c.categories is None else orjson.dumps(c.categories).decode()
        figures = [getattr(c, figure) for figure in FIGURES]
        rows.append([*of_all, name, c.nulls, *figures, categories])
    names = schema().names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema())


def from_table(table: pa.Table) -> list[Landing]:
    """Read landings back, oldest first."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in table.sort_by("raw_version").to_pylist():
        found.setdefault(row["raw_version"], []).append(row)
    return [_landing(rows) for rows in found.values()]


def _landing(rows: Sequence[Mapping[str, Any]]) -> Landing:
    import orjson

    one = rows[0]
    columns = {row["column"]: _described(row, orjson.loads) for row in rows}
    counts = one["contract"], one["arrivals"], one["rows"]
    return Landing(one["raw_version"], one["landed_at"], *counts, one["newest_event"], columns)


def _described(row: Mapping[str, Any], loads: Callable[[str], Any]) -> ColumnProfile:
    categories = loads(row["categories"]) if row["categories"] else None
    return ColumnProfile(row["nulls"], **{name: row[name] for name in FIGURES}, categories=categories)


def _newest(rows: pa.Table, contract: RowContract, now: datetime) -> datetime | None:
    """Return the newest event; a time that is yet to come is a mistake and would hide how old the others are."""
    import pyarrow as pa
    from pyarrow import compute

    name = next((c.name for c in contract.columns if c.type == "timestamp"), None)
    if name is None:
        return None
    past = compute.less_equal(rows[name], pa.scalar(now, pa.timestamp("us", "UTC")))
    found: datetime | None = compute.max(rows[name].filter(past)).as_py()
    return found


def _column(values: pa.ChunkedArray, column: Column) -> ColumnProfile:
    import pyarrow as pa
    from pyarrow import compute

    nulls = values.null_count
    if column.type in NUMBERS and nulls < len(values):
        numbers = values.cast(pa.int8() if column.type == "boolean" else values.type).cast(pa.float64())
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
