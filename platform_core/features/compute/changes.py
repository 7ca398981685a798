"""Diff of a feature view: computed rows that are new, changed or gone, against the offline table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import BEGUN_AT, CORRECTS_SINCE, CREATED_AT, DATE, EVENT_TIME, GONE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

ROW, _HELD = "_row", "_held"
_NO_FEATURES = (EVENT_TIME, CREATED_AT, BEGUN_AT, DATE, GONE, CORRECTS_SINCE)
RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Sums of floats may differ in their last bits between engines and runs; that is no news."""


@dataclass(frozen=True)
class News:
    """Computed rows that are new or changed, and for each the row that was held before (nulls where new).

    ``gone`` are the rows that were held and are computed no more; only where that was asked.
    """

    rows: pa.Table
    before: pa.Table
    gone: pa.Table | None = None

    @property
    def changes(self) -> bool:
        """Say whether anything that was held is otherwise now, or no more."""
        return self.before[CREATED_AT].null_count < len(self.before) or bool(self.gone is not None and len(self.gone))


def feature_names(rows: pa.Table, entity: str) -> list[str]:
    """Return the feature columns of a view's rows, in order."""
    return [name for name in rows.column_names if name not in _NO_FEATURES and name != entity]


def news(computed: pa.Table, held: pa.Table, entity: str) -> News:
    """Compare computed rows (one per entity and event time) with the newest that are held of each."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    keys = [entity, EVENT_TIME]
    newest = last_of_each(held, keys, by=CREATED_AT)
    left = places(computed, keys)
    right = newest.select(keys).append_column(_HELD, pa.array(np.arange(len(newest))))
    place = left.join(right, keys, join_type="left outer").sort_by(ROW)[_HELD].combine_chunks()
    before = newest.take(place)
    differs: NDArray[np.bool_] = np.asarray(place.is_null())
    if GONE in before.column_names:
        differs = differs | np.asarray(compute.fill_null(before[GONE], fill_value=False))
    for name in feature_names(computed, entity):
        differs = differs | differ(computed[name], before[name])
    return News(computed.filter(pa.array(differs)), before.filter(pa.array(differs)))


def gone(computed: pa.Table, held: pa.Table, entity: str) -> pa.Table:
    """Return the rows that are held, by the newest word on each entity and event, and that are not computed."""
    keys = [entity, EVENT_TIME]
    return without(living(last_of_each(held, keys, by=CREATED_AT)), computed, keys)


def without(rows: pa.Table, others: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Leave out the rows whose keys are among those of others."""
    names = list(keys)
    left = places(rows, names).join(others.select(names), names, join_type="left anti")
    return rows.take(left.sort_by(ROW)[ROW])


def living(rows: pa.Table) -> pa.Table:
    """Leave out the rows that say that a row is no more."""
    from pyarrow import compute

    if GONE not in rows.column_names:
        return rows
    return rows.filter(compute.invert(compute.fill_null(rows[GONE], fill_value=False)))


def last_of_each(rows: pa.Table, keys: Sequence[str], by: str) -> pa.Table:
    """Keep, of the rows that share their keys, the one whose ``by`` is largest."""
    ordered = rows.sort_by(by)
    return ordered.take(places(ordered, keys).group_by(list(keys)).aggregate([(ROW, "max")])[f"{ROW}_max"])


def places(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the keys of rows beside their places, ``ROW``."""
    import numpy as np
    import pyarrow as pa

    return rows.select(list(keys)).append_column(ROW, pa.array(np.arange(len(rows))))


def differ(left: pa.ChunkedArray, right: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Say of each value of a feature whether it is another one than beside it."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_floating(left.type):
        close = np.isclose(left.to_numpy(), right.to_numpy(), rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        return np.asarray(~close)
    if pa.types.is_list(left.type):
        return _lists_differ(left, right)
    equal = compute.fill_null(compute.equal(left, right), fill_value=False)
    both_null = compute.and_(compute.is_null(left), compute.is_null(right))
    return np.asarray(compute.invert(compute.or_(equal, both_null)))


def _lists_differ(left: pa.ChunkedArray, right: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Compare lists one by one, numbers as single numbers are compared."""
    import numpy as np
    from pyarrow import compute

    lengths = [compute.fill_null(compute.list_value_length(side), -1).to_numpy() for side in (left, right)]
    differs: NDArray[np.bool_] = np.asarray(lengths[0] != lengths[1])
    same = np.flatnonzero(~differs & (lengths[0] > 0))
    if len(same):
        apart = differ(*(compute.list_flatten(side.take(same)) for side in (left, right)))
        starts = np.concatenate([[0], np.cumsum(lengths[0][same])[:-1]])
        differs[same] = np.logical_or.reduceat(apart, starts)
    return differs
