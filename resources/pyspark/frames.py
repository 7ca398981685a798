"""Conversion of Arrow tables to Spark data frames and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from loopline.resources.pyspark.sessions import losses, session
from loopline.resources.pyspark.staging import CallFolder, Staged, Staging, kinds

if TYPE_CHECKING:
    from types import TracebackType

    import narwhals as nw
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from loopline.resources.pyspark.settings import Settings


class SparkFrames:
    """Data frames of one call; what it put into the object store goes with it."""

    def __init__(self, settings: Settings, staging: Staging | None) -> None:
        self._settings, self._staging = settings, staging
        self._call_folder: CallFolder | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete what was staged."""
        if self._call_folder is not None:
            self._call_folder.end()

    def is_large(self, rows: pa.Table) -> bool:
        """Say whether rows travel through the object store."""
        return self._staging is not None and rows.nbytes >= self._staging.above_mb * 2**20

    @property
    def call_folder(self) -> CallFolder:
        """Return this call's folder in the object store; only where there is staging."""
        if self._call_folder is None:
            assert self._staging is not None
            self._call_folder = self._staging.begin()
        return self._call_folder

    def ordered(self, rows: pa.Table | Staged, by: Sequence[str], together: str | None) -> nw.LazyFrame[Any]:
        """Spread rows by ``together`` and sort each part, so that one machine adds up what belongs together."""
        import narwhals as nw

        frame = self.frame(rows)
        spread = frame.coalesce(1) if together is None else frame.repartition(together)
        lazy: nw.LazyFrame[Any] = nw.from_native(spread.sortWithinPartitions(*dict.fromkeys([*by, *rows.column_names])))
        return lazy

    def frame(self, rows: pa.Table | Staged) -> DataFrame:
        """Take rows in: from this process, or from the object store where they are many or lie there already."""
        begun = session(self._settings)
        with losses(self._settings):
            if isinstance(rows, Staged):
                return self.call_folder.frame(begun, rows)
            if self.is_large(rows):
                return self.call_folder.frame(begun, self.call_folder.put(rows))
            if not len(rows):  # Spark Connect takes no empty Arrow table
                return begun.createDataFrame([], kinds(rows.schema))
            return begun.createDataFrame(rows)

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run the plan and bring the rows to this process."""
        return self.rows(frame.to_native())

    def rows(self, frame: DataFrame) -> pa.Table:
        """Run a plan; its rows come by the way by which they went."""
        with losses(self._settings):
            return frame.toArrow() if self._call_folder is None else self._call_folder.collected(frame)

    def run(
        self, tasks: int, work: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], gives: str
    ) -> list[tuple[Any, ...]]:
        """Let executors do so many tasks, each of which is given its number; returns the rows that they give."""
        begun = session(self._settings)
        with losses(self._settings):
            found = begun.range(0, tasks, 1, tasks).mapInArrow(work, gives).collect()
        return [tuple(each) for each in found]
