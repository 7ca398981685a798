"""Reads of current rows from the lake: those of given keys, and those that newly landed rows changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, LINE, OP, SEQUENCE
from loopline.platform_core.ingestion.current_rows import (
    about_arrivals,
    changing,
    holding,
    may_change,
    with_values,
    withdrawn,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.specs import Source, Team

TAKEN_BACK = "arrivals taken back"
"""The raw table's transaction that counts how often something was said of whole arrivals."""
Among = Mapping[str, "pa.Array"]


def held_rows(lake: Lake, table: str, version: int, key: Sequence[str], among: Among | None) -> pa.Table:
    """Read the rows with a key that hold, of those among given values; a row may have left them by a correction."""
    from pyarrow import compute

    if among is None:
        return holding(lake.read(table, version=version), key)
    own = with_values(lake.read(table, version=version, among=among))
    rows = holding(_versions(lake, table, version, own, key), key)
    for name, values in among.items():
        rows = rows.filter(compute.is_in(rows[name], value_set=values.cast(rows[name].type), skip_nulls=True))
    return rows


def standing_rows(lake: Lake, table: str, version: int, rows: pa.Table) -> pa.Table:
    """Leave out, of rows without a key, those whose arrival was taken back."""
    if OP not in rows.column_names:
        return rows
    return holding(_joined(with_values(rows), _marks(lake, table, version)), ())


@dataclass(frozen=True)
class Turned:
    """Raw rows that are ``new`` and hold, and rows of before that ``turned``: they hold no more, or again."""

    new: pa.Table
    turned: pa.Table

    @property
    def rows(self) -> pa.Table:
        """Return both."""
        return _joined(self.turned, self.new)


def turned_rows(lake: Lake, table: str, version: int, than: int, key: Sequence[str]) -> Turned:
    """Read the rows that came to hold, or ceased to, by what was appended after version ``than``.

    Raises:
        NotFound: what was appended since is not known any more.
    """
    from pyarrow import compute

    new = lake.read(table, version=version, newer_than=than)
    if not may_change(new, key):
        return Turned(new, new.slice(0, 0))
    marked = about_arrivals(new)[ARRIVAL].unique()
    touched = _joined(new, lake.read(table, version=version, among={ARRIVAL: marked})) if len(marked) else new
    if not key:
        return _parted(with_values(touched), new)
    if touched is new:
        touched = _other_content(lake, table, version, than, new, key)
    now = _versions(lake, table, version, touched, key)
    before = now.filter(compute.invert(compute.is_in(_identity(now), value_set=_identity(new))))
    return _parted(_difference(holding(before, key), holding(now, key)), new)


def _parted(rows: pa.Table, new: pa.Table) -> Turned:
    from pyarrow import compute

    ours = [SEQUENCE] if SEQUENCE in new.column_names else []  # rows that hold bear no number
    own = rows.drop_columns([name for name in ours if name in rows.column_names])
    is_new = compute.is_in(_identity(own), value_set=_identity(with_values(new).drop_columns(ours)))
    return Turned(rows.filter(is_new), rows.filter(compute.invert(is_new)))


def _other_content(lake: Lake, table: str, version: int, than: int, new: pa.Table, key: Sequence[str]) -> pa.Table:  # noqa: PLR0913, PLR0917 - as turned_rows
    """Leave out new rows that say of their key what the commit before said: a snapshot that comes whole each day.

    Then not every version of every key is read. That no version lies between the two is said by their numbers.
    """
    from pyarrow import compute

    if SEQUENCE not in new.column_names or not len(new) or was_taken_back(lake, table):
        return new
    first = compute.min(new[SEQUENCE]).as_py()
    try:
        recent = lake.read(table, version=version, newer_than=than - 1 if than > 0 else None)
    except NotFound:  # tidied away
        return new
    before = compute.filter(recent[SEQUENCE], compute.less(recent[SEQUENCE], first))
    return changing(recent, first, key) if compute.max(before).as_py() == first - 1 else new


def key_of(team: Team, source: Source) -> tuple[str, ...]:
    """Return the columns that name a source's rows; raises ``InvalidSpec`` where its contract cannot be read."""
    from loopline.platform_core.specs.contracts.odcs import contract_of

    return contract_of(team, source).key


def was_taken_back(lake: Lake, table: str) -> bool:
    """Say whether an arrival of a raw table was ever taken back."""
    return bool(lake.committed(table, [TAKEN_BACK]))


def withdrawn_arrivals(lake: Lake, table: str) -> Collection[str]:
    """Return the arrivals of a raw table that are taken back now."""
    return withdrawn(marks_of(lake, table)).keys()


def marks_of(lake: Lake, table: str) -> pa.Table:
    """Read what was said of whole arrivals of a raw table, the latest last."""
    import pyarrow as pa

    version = lake.version(table)
    return pa.table({}) if version is None else about_arrivals(_marks(lake, table, version))


def _versions(lake: Lake, table: str, version: int, rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Read every version of some rows, and what is about arrivals; of other rows too, but then every version of each.

    Rows whose key lacks a value, as they may have landed before it was named, have one version.
    """
    named = lake.read(table, version=version, among={name: rows[name].unique() for name in key})
    return _joined(named, with_values(rows.filter(_unnamed(rows, key))), _marks(lake, table, version))


def _marks(lake: Lake, table: str, version: int) -> pa.Table:
    import pyarrow as pa

    if not was_taken_back(lake, table):
        return lake.read(table, version=version, among={ARRIVAL: pa.array([], pa.string())})
    empty = lake.read(table, version=version, until=date.min)
    if OP not in empty.column_names:
        return empty
    return lake.read(table, version=version, among={OP: pa.array(["withdrawn", "restored"])})


def _unnamed(rows: pa.Table, key: Sequence[str]) -> Any:
    from pyarrow import compute

    return reduce(compute.or_, [rows[name].is_null() for name in key])


def _difference(before: pa.Table, after: pa.Table) -> pa.Table:
    """Return the rows that are in one of two tables only."""
    from pyarrow import compute

    one, other = _identity(before), _identity(after)
    gone = before.filter(compute.invert(compute.is_in(one, value_set=other)))
    return _joined(gone, after.filter(compute.invert(compute.is_in(other, value_set=one))))


def _identity(rows: pa.Table) -> pa.ChunkedArray:
    """Name each row: by its arrival and line, and as something of an arrival is said again and again, by its number."""
    import pyarrow as pa
    from pyarrow import compute

    parts = [rows[ARRIVAL], rows[LINE].cast(pa.string()), rows[ARRIVED_AT].cast(pa.int64()).cast(pa.string())]
    if SEQUENCE in rows.column_names:
        parts.append(compute.fill_null(rows[SEQUENCE], 0).cast(pa.string()))
    return compute.binary_join_element_wise(*parts, ":")


def _joined(*tables: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="default")
