"""Arrow tables as Spark data frames and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa
    from pyspark.sql import SparkSession


class SparkFrames:
    """Data frames of one session."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session

    def ordered(self, rows: pa.Table, by: Sequence[str], together: str | None) -> nw.LazyFrame[Any]:
        """Spread rows by ``together`` and sort each part, so that one machine adds up what belongs together."""
        import narwhals as nw

        frame = self._session.createDataFrame(rows)
        spread = frame.coalesce(1) if together is None else frame.repartition(together)
        lazy: nw.LazyFrame[Any] = nw.from_native(spread.sortWithinPartitions(*dict.fromkeys([*by, *rows.column_names])))
        return lazy

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run the plan and bring the rows to this process."""
        return frame.collect("pyarrow").to_native()
