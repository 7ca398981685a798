"""Raw model outputs in prediction tables: one number a row, or a list in the column ``raw``.

Where that is more than one number the log, and what is written from it, has a column ``raw`` of lists beside the
reading in ``score``. Tables of before have no such column; a row of one number has null there.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.number_lists import to_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.lake import Lake

RAW = "raw"
_BEFORE_ALL = date(1900, 1, 1)


def read(lake: Lake, table: str, columns: Sequence[str], width: int, **which: Any) -> pa.Table:
    """Read rows of answers; of a model that returns ``width`` numbers, if more than one, with those whole rows alone.

    A row that has another number of them, or none, comes from a version of another kind: nothing of now measures it.

    Raises:
        NotFound: as ``Lake.read``.
    """
    import pyarrow.compute as pc

    if width == 1:
        return lake.read(table, columns=columns, **which)
    has = RAW in lake.read(table, version=which.get("version"), until=_BEFORE_ALL).column_names
    rows = _with_raw(lake.read(table, columns=[*columns, RAW] if has else columns, **which))
    return rows.filter(pc.equal(pc.list_value_length(rows[RAW]), width))


def of(rows: pa.Table) -> NDArray[np.float64]:
    """Return what was returned for each row: float64 (rows,), or (rows, width) where the rows have lists."""
    return to_array(rows[RAW if RAW in rows.column_names else "score"])


def _with_raw(rows: pa.Table) -> pa.Table:
    """Give rows the column, of one type whoever wrote it."""
    import pyarrow as pa

    kind = pa.list_(pa.float64())
    if RAW not in rows.column_names:
        return rows.append_column(RAW, pa.nulls(len(rows), kind))
    return rows.set_column(rows.column_names.index(RAW), RAW, rows[RAW].cast(kind))
