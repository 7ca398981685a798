"""Engine on Spark: a cluster, or this machine's cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.contracts.engine import Checked, Engine, ScoreRows, ViewRows
from loopline.resources.pyspark.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import RowContract
    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.specs.views.features import FeatureView
    from loopline.resources.pyspark.frames import SparkFrames


class PysparkEngine(Settings, Engine):
    """Runs declarations by Spark; a team's function gets a Narwhals frame around a Spark one.

    ``master`` is where a session of this process runs its tasks: ``local[2]``, ``spark://host:7077``, or
    ``k8s://https://...`` with ``pods``; ``remote`` (``sc://host:15002``) is a Spark Connect server to use instead.
    ``options`` are Spark's own settings, ``python`` is the path of executors' Python. A process has one session: it
    starts with the first call, and every engine of the process shares it. A cluster that gives no executor within
    ``wait_seconds`` is an error.

    With ``staging`` tables beyond ``staged_above_mb`` travel through the object store: executors read and write
    Parquet there, by ``storage_options`` as the lake has them, and score a batch's rows. For that their Python needs
    Loopline with the extra ``object-store``.
    """

    extras = ("spark",)
    is_light: ClassVar[bool] = False

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        """Arrivals are checked where they are read, in memory, whatever the engine: Polars does it."""
        from loopline.resources.polars.row_checks import check_rows

        return check_rows(rows, contract)

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Run the function, and find out when the platform could first have done so."""
        from loopline.platform_core.features.compute.definitions import compute_view

        with self._frames() as frames:
            return compute_view(frames, view, raw)

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Run the function and bring its columns to the platform's names."""
        from loopline.platform_core.features.compute.definitions import compute_labels

        with self._frames() as frames:
            return compute_labels(frames, labels, raw)

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Join each view by one walk over its rows and the labels."""
        from loopline.platform_core.features.compute.point_in_time import point_in_time
        from loopline.resources.pyspark.point_in_time import matching

        with self._frames() as frames:
            return point_in_time(labels, views, lambda *sides: matching(frames, *sides))

    def score(self, package: Path, rows: pa.Table, score: ScoreRows) -> Sequence[float]:
        """Let executors score parts of many rows, with the package that they fetch by its hash; few are scored here."""
        from loopline.resources.pyspark.scoring import scored

        with self._frames() as frames:
            if not frames.is_large(rows):
                return score(package, rows)
            return scored(frames, package, rows, score)

    def _frames(self) -> SparkFrames:
        from loopline.resources.pyspark.frames import SparkFrames
        from loopline.resources.pyspark.staging import Staging

        staging = Staging(self.staging, self.storage_options, self.staged_above_mb) if self.staging else None
        return SparkFrames(self, staging)
