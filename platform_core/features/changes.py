"""Which computed feature rows say something that the offline table does not hold yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import BEGUN_AT, CREATED_AT, DATE, EVENT_TIME

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_ROW, _HELD = "_row", "_held"
RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Sums of floats may differ in their last bits between engines and runs; that is no news."""


@dataclass(frozen=True)
class News:
    """Computed rows that are new or changed, and for each the row that was held before (nulls where new)."""

    rows: pa.Table
    before: pa.Table


def feature_names(rows: pa.Table, entity: str) -> list[str]:
    """Return the feature columns of a view's rows, in order."""
    return [name for name in rows.column_names if name not in (entity, EVENT_TIME, CREATED_AT, BEGUN_AT, DATE)]


def news(computed: pa.Table, held: pa.Table, entity: str) -> News:
    """Compare computed rows (one per entity and event time) with the newest that are held of each."""
    import numpy as np
    import pyarrow as pa

    keys = [entity, EVENT_TIME]
    newest = last_of_each(held, keys, by=CREATED_AT)
    left = computed.select(keys).append_column(_ROW, pa.array(np.arange(len(computed))))
    right = newest.select(keys).append_column(_HELD, pa.array(np.arange(len(newest))))
    place = left.join(right, keys, join_type="left outer").sort_by(_ROW)[_HELD].combine_chunks()
    before = newest.take(place)
    differs: NDArray[np.bool_] = np.asarray(place.is_null())
    for name in feature_names(computed, entity):
        differs = differs | _differ(computed[name], before[name])
    return News(computed.filter(pa.array(differs)), before.filter(pa.array(differs)))


def last_of_each(rows: pa.Table, keys: Sequence[str], by: str) -> pa.Table:
    """Keep, of the rows that share their keys, the one whose ``by`` is largest."""
    import numpy as np
    import pyarrow as pa

    ordered = rows.sort_by(by)
    numbered = ordered.select(keys).append_column(_ROW, pa.array(np.arange(len(rows))))
    return ordered.take(numbered.group_by(keys).aggregate([(_ROW, "max")])[f"{_ROW}_max"])


def _differ(left: pa.ChunkedArray, right: pa.ChunkedArray) -> NDArray[np.bool_]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_floating(left.type):
        close = np.isclose(left.to_numpy(), right.to_numpy(), rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        return np.asarray(~close)
    equal = compute.fill_null(compute.equal(left, right), fill_value=False)
    both_null = compute.and_(compute.is_null(left), compute.is_null(right))
    return np.asarray(compute.invert(compute.or_(equal, both_null)))
