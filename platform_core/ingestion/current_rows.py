"""Current rows (SCD type 2): which raw rows hold, now or as of any time; corrections and deletions are rows as well.

Of the rows of one key the one that landed last holds, by the number of its landing and then its line, whatever clocks
said; what comes again with the same content changes nothing, so the row is known from when it first came. A row with
``_op`` brings no values: ``deleted`` ends the row of its key, ``withdrawn`` takes its whole arrival back from its
``_arrived_at`` on, and ``restored`` undoes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, LINE, OP, SAID, SEQUENCE

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Ints = NDArray[np.int64]

Op = Literal["deleted", "withdrawn", "restored"]
LOST_AT = "_lost_at"
"""When a row ceased to hold (UTC, µs)."""
_OURS = (OP, SAID, SEQUENCE)
_NO_LINE = -1
"""The line of what is said of a whole arrival; rows have 0 (a stream's first record) or more."""
_NEVER = -(2**62)


def may_change(raw: pa.Table, key: Sequence[str]) -> bool:
    """Say whether a row may cease to hold: its source has a key, or something of it was taken back."""
    return bool(key) or OP in raw.column_names


def holding(raw: pa.Table, key: Sequence[str], as_of: datetime | None = None) -> pa.Table:
    """Return the raw rows that hold by what is known at ``as_of`` (None: by all that is in ``raw``), in no order.

    ``raw`` must have every row of the keys that it has, and what is about their arrivals.
    """
    known = raw if as_of is None else raw.filter(_known(raw, as_of))
    return parted(known, key).holding if may_change(known, key) else _plain(known)


@dataclass(frozen=True)
class Parted:
    """Raw rows that hold; and those that once did or do again, with ``_lost_at``, from when on that is known."""

    holding: pa.Table
    turned: pa.Table


def parted(raw: pa.Table, key: Sequence[str]) -> Parted:
    """Part raw rows by whether they hold; what is about arrivals is in neither."""
    import pyarrow as pa
    from pyarrow import compute

    word, values = _newest_operation(raw), without_marks(raw)
    back = pa.array([arrival for arrival, (op, _) in word.items() if op == "withdrawn"], pa.string())
    stays = values.filter(compute.invert(compute.is_in(values[ARRIVAL], value_set=back))) if len(back) else values
    turned = _turned(values, key, {arrival: at for arrival, (_, at) in word.items()})
    if not key:
        return Parted(_plain(stays), _plain(turned))
    versions = _Versions.of(stays, key)
    return Parted(_plain(versions.holding()), _plain(pa.concat_tables([versions.ended(), turned])))


def changing(rows: pa.Table, since: int, key: Sequence[str]) -> pa.Table:
    """Return the rows from a number on whose keys have another content there than before it."""
    import numpy as np
    import pyarrow as pa

    versions = _Versions.of(rows, key)
    later, keys = _numbers(versions.rows) >= since, np.cumsum(versions.first) - 1
    changed = np.isin(keys, keys[later & versions.new])
    return versions.rows.filter(pa.array(later & changed))


def mark(arrival: str, op: Op, at: datetime, said: str = "") -> pa.Table:
    """Make the raw row that says something of a whole arrival; ``said`` is a JSON object for the ledger."""
    import pyarrow as pa

    from loopline.platform_core.foundation.names import DATE
    from loopline.platform_core.ingestion.raw_rows import dates, instants

    moment = instants(at, 1)
    columns = {ARRIVAL: [arrival], LINE: [_NO_LINE], ARRIVED_AT: moment, OP: [op], SAID: [said]}
    return pa.table({**columns, DATE: dates(pa.chunked_array([moment]))})


def about_arrivals(raw: pa.Table) -> pa.Table:
    """Return the rows that say something of whole arrivals, the latest last."""
    from pyarrow import compute

    if OP not in raw.column_names:
        return raw.slice(0, 0)
    return raw.filter(compute.fill_null(_is(raw, "withdrawn", "restored"), fill_value=False)).sort_by(SEQUENCE)


def of_rows(lines: pa.ChunkedArray) -> pa.ChunkedArray:
    """Say of each ``_line`` whether it is a row's, and not that of what is said of a whole arrival."""
    from pyarrow import compute

    return compute.greater(lines, _NO_LINE)


def withdrawn(raw: pa.Table) -> dict[str, int]:
    """Return the arrivals that are taken back, and since when (µs since 1970)."""
    return {arrival: at for arrival, (op, at) in _newest_operation(raw).items() if op == "withdrawn"}


def with_values(raw: pa.Table) -> pa.Table:
    """Return the rows that bring values, whether they hold or not."""
    return raw.filter(raw[OP].is_null()) if OP in raw.column_names else raw


def _newest_operation(raw: pa.Table) -> dict[str, tuple[str, int]]:
    import pyarrow as pa

    told = about_arrivals(raw)
    if not len(told):
        return {}
    words = zip(told[OP].to_pylist(), told[ARRIVED_AT].cast(pa.int64()).to_pylist(), strict=True)
    return dict(zip(told[ARRIVAL].to_pylist(), words, strict=True))


def without_marks(raw: pa.Table) -> pa.Table:
    """Leave out what is said of whole arrivals."""
    from pyarrow import compute

    if OP not in raw.column_names:
        return raw
    return raw.filter(compute.invert(compute.fill_null(_is(raw, "withdrawn", "restored"), fill_value=False)))


def _turned(rows: pa.Table, key: Sequence[str], moments: dict[str, int]) -> pa.Table:
    """Return the rows of arrivals of which something was said, and every row of their keys, with the latest moment."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    place = compute.index_in(rows[ARRIVAL], value_set=pa.array(moments, pa.string()))
    at = pa.array(moments.values(), pa.int64()).take(place.combine_chunks()).fill_null(_NEVER).to_numpy()
    if key and moments:
        names = np.unique(_names(rows, key), return_inverse=True)[1]
        latest = np.full(names.max(initial=0) + 1, _NEVER)
        np.maximum.at(latest, names, at)
        at = latest[names]
    when = pa.array(at).cast(pa.timestamp("us", "UTC"))
    return with_values(rows.append_column(LOST_AT, when).filter(pa.array(at > _NEVER)))


@dataclass(frozen=True)
class _Versions:
    """Rows sorted by key, then as they landed; ``first`` begins a key, ``new`` begins another content of it."""

    rows: pa.Table
    first: Flags
    new: Flags

    @classmethod
    def of(cls, rows: pa.Table, key: Sequence[str]) -> _Versions:
        import numpy as np
        import pyarrow as pa

        names = _names(rows, key)
        order = np.lexsort((rows[LINE].to_numpy(), _numbers(rows), names))
        ordered, names = rows.take(pa.array(order)), names[order]
        same = np.zeros(len(rows), np.bool_)
        same[1:] = names[1:] == names[:-1]
        again = same.copy()
        places = np.flatnonzero(same)
        if len(places):
            content = [name for name in rows.column_names if not name.startswith("_") or name == OP]
            this, other = (ordered.select(content).take(pa.array(p)) for p in (places, places - 1))
            again[places] = _equal(this, other)
        return cls(ordered, ~same, ~again)

    def holding(self) -> pa.Table:
        """Return, of each key that is not deleted, the first row of the content that came last."""
        rows = self.rows.take(_places(self._holders()))
        return with_values(rows)

    def ended(self) -> pa.Table:
        """Return the rows with values that another content, or a deletion, has replaced, and when."""
        import numpy as np
        import pyarrow as pa

        begins = np.flatnonzero(self.new)
        replaced, by = begins[:-1], begins[1:]
        within = ~self.first[by]
        replaced, by = replaced[within], by[within]
        at = self.rows[ARRIVED_AT].cast(pa.int64()).to_numpy()
        when = np.maximum(at[replaced], at[by])
        lost = self.rows.take(_places(replaced))
        return with_values(lost.append_column(LOST_AT, pa.array(when).cast(pa.timestamp("us", "UTC"))))

    def _holders(self) -> Ints:
        import numpy as np

        if not len(self.first):
            return np.zeros(0, np.int64)
        begins = np.maximum.accumulate(np.where(self.new, np.arange(len(self.new)), 0))
        found: Ints = begins[np.append(self.first[1:], True)]
        return found


def _names(rows: pa.Table, key: Sequence[str]) -> Ints:
    """Number the keys; a row whose key lacks a value has a number of its own."""
    import numpy as np

    numbers, unnamed = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    for column in key:
        encoded = rows[column].combine_chunks().dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy()
        unnamed |= codes < 0
        numbers = numbers * (len(encoded.dictionary) + 1) + codes + 1
        numbers = np.unique(numbers, return_inverse=True)[1]  # small again, so that the next column does not overflow
    return np.where(unnamed, -1 - np.arange(len(rows)), numbers)


def _numbers(rows: pa.Table) -> Ints:
    """Return the numbers of the rows' landings; rows that no landing wrote came before all others."""
    import numpy as np
    from pyarrow import compute

    if SEQUENCE not in rows.column_names:
        return np.zeros(len(rows), np.int64)
    found: Ints = compute.fill_null(rows[SEQUENCE], 0).to_numpy()
    return found


def _equal(rows: pa.Table, others: pa.Table) -> Flags:
    """Compare row by row; two nulls are equal."""
    import numpy as np
    from pyarrow import compute

    same = np.ones(len(rows), np.bool_)
    for name in rows.column_names:
        one, other = rows[name], others[name]
        alike = compute.fill_null(compute.equal(one, other), fill_value=False)
        same &= np.asarray(compute.or_(alike, compute.and_(one.is_null(), other.is_null())))
    return same


def _known(raw: pa.Table, as_of: datetime) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    return compute.less_equal(raw[ARRIVED_AT], pa.scalar(as_of, pa.timestamp("us", "UTC")))


def _is(raw: pa.Table, *ops: Op) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    return compute.is_in(raw[OP], value_set=pa.array(ops, pa.string()))


def _plain(rows: pa.Table) -> pa.Table:
    return rows.drop_columns([name for name in _OURS if name in rows.column_names])


def _places(places: Ints) -> pa.Array:
    import pyarrow as pa

    return pa.array(places)
