"""Partitioning of Delta tables by month, because a file a day makes reads of one entity slow.

A day is found in its month by the files' and row groups' own bounds. A table that was begun in folders of days stays
so, and is read and written as it lies.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import DATE

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

MONTH = "_month"
"""The partition column, text such as ``2020-01``; it is the lake's own and no part of what is read."""


def month_of(day: date) -> str:
    """Return the month of a day, such that later months are greater."""
    return day.isoformat()[:7]


def in_months(rows: pa.Table, delta_table: DeltaTable | None) -> pa.Table:
    """Add the month of each row, if its table (None: a new one) lies in months; it is null where the day is."""
    import pyarrow as pa
    from pyarrow import compute

    if DATE not in rows.column_names or not (delta_table is None or lies_in_months(delta_table)):
        return rows
    days = rows[DATE].combine_chunks().dictionary_encode()
    months = pa.DictionaryArray.from_arrays(days.indices, compute.strftime(days.dictionary, "%Y-%m"))
    return rows.append_column(MONTH, months.cast(pa.string()))


def lies_in_months(delta_table: DeltaTable) -> bool:
    """Say whether a table is parted by month."""
    return MONTH in delta_table.metadata().partition_columns


def statistics_of(rows: pa.Table) -> dict[str, str]:
    """Return a new table's property that bounds of days are kept; delta-rs keeps those of the first 32 columns else."""
    return {"delta.dataSkippingStatsColumns": DATE} if MONTH in rows.column_names else {}


def partitions(rows: pa.Table) -> list[str] | None:
    """Return by what a new table of such rows is parted."""
    return [MONTH] if MONTH in rows.column_names else None
