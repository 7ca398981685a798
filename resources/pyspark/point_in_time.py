"""Point-in-time join on Spark, which has no as-of join: both sides are merged and walked in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from loopline.platform_core.contracts.engine import ViewRows
    from loopline.platform_core.features.compute.point_in_time import Matches
    from loopline.resources.pyspark.frames import SparkFrames


def matching(frames: SparkFrames, labels: pa.Table, views: Sequence[ViewRows]) -> Iterator[Matches]:
    """Join view by view."""
    for each in views:
        asks = _frame(frames, labels, {each.view.entity: "key", EVENT_TIME: "at"})
        held = _frame(frames, each.rows, {each.view.entity: "key", EVENT_TIME: "event", CREATED_AT: "created"})
        found = frames.rows(_walked(asks, held))
        yield found["asking"].to_numpy(), found["found"].to_numpy()


def _walked(asks: DataFrame, held: DataFrame) -> DataFrame:
    """Walk each key's rows and labels in the order in which they are known, at one moment the rows first.

    What counts is the largest (event, created) so far, and with it the row's place.
    """
    from pyspark.sql import Window, functions

    row = functions.struct("event", "created", "place")
    rows = held.dropna().select(
        "key",
        functions.greatest("event", "created").alias("at"),
        row.alias("row"),
        functions.lit(None).cast("long").alias("asking"),
    )
    questions = asks.dropna().select(
        "key",
        "at",
        functions.lit(None).cast(rows.schema["row"].dataType).alias("row"),
        functions.col("place").alias("asking"),
    )
    walk = Window.partitionBy("key").orderBy("at", functions.col("asking").asc_nulls_first())
    newest = functions.max("row").over(walk.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    both = rows.unionByName(questions).withColumn("newest", newest)
    return both.where("asking IS NOT NULL AND newest IS NOT NULL").select(
        "asking", functions.col("newest.place").alias("found")
    )


def _frame(frames: SparkFrames, table: pa.Table, names: dict[str, str]) -> DataFrame:
    import numpy as np
    import pyarrow as pa

    renamed = table.select(list(names)).rename_columns(list(names.values()))
    return frames.frame(renamed.append_column("place", pa.array(np.arange(len(table)))))
