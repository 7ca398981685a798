"""The same join as someone writes it for these three tables, with Polars and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.point_in_time.data import SHAPES, Shape

if TYPE_CHECKING:
    import pyarrow as pa


def join_of(labels: pa.Table, rows: list[pa.Table]) -> Callable[[int | None], pl.DataFrame]:
    """Return the join over the first so many rows (all: None)."""
    asking = pl.DataFrame(pl.from_arrow(labels))
    views = [pl.DataFrame(pl.from_arrow(table)) for table in rows]

    def join(most: int | None) -> pl.DataFrame:
        found = asking.head(most or len(asking)).with_row_index("row").sort("event_time")
        for shape, table in zip(SHAPES, views, strict=True):
            found = _joined(found, shape, table.head(most or len(table)))
        return found.sort("row").drop("row")

    return join


def _joined(labels: pl.DataFrame, shape: Shape, rows: pl.DataFrame) -> pl.DataFrame:
    known = (
        rows.lazy()
        .with_columns(known=pl.max_horizontal("event_time", "created_at"))
        .sort("known", "event_time", "created_at")
        .filter(pl.col("event_time") >= pl.col("event_time").cum_max().over(shape.entity))
        .select(shape.entity, "known", *shape.names, event=pl.col("event_time"))
        .collect()
    )
    joined = labels.join_asof(
        known, left_on="event_time", right_on="known", by=shape.entity, strategy="backward", check_sortedness=False
    )
    fresh = pl.col("event_time") - pl.col("event") <= timedelta(days=shape.ttl_days)
    return joined.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in shape.names).drop(
        "known", "event"
    )
