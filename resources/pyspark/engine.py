"""The engine on Spark: a cluster, or this machine's cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from loopline.platform_core.contracts.engine import Checked, Engine, ViewRows

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from loopline.platform_core.specs.contract_file import RowContract
    from loopline.platform_core.specs.features import FeatureView
    from loopline.platform_core.specs.labels import Labels

OURS = {
    "spark.sql.session.timeZone": "UTC",  # a view sees the hours that it sees on every other engine
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}


class PysparkEngine(Engine):
    """Runs declarations by Spark; a team's function gets a Narwhals frame around a Spark one.

    ``master`` is where a session of this process runs its tasks, such as ``local[2]`` or ``k8s://https://...``;
    ``remote`` (``sc://host:15002``) is a Spark Connect server to use instead. ``options`` are Spark's own settings.
    A process has one session: it starts with the first call, and every engine of the process shares it.
    """

    is_light: ClassVar[bool] = False

    master: str = "local[2]"
    remote: str | None = None
    app_name: str = "loopline"
    options: dict[str, str] = Field(default_factory=dict)

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        """Arrivals are checked where they are read, in memory, whatever the engine: Polars does it."""
        from loopline.resources.polars.row_checks import check_rows

        return check_rows(rows, contract)

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Run the function, and find out when the platform could first have done so."""
        from loopline.platform_core.features.definitions import compute_view
        from loopline.resources.pyspark.frames import SparkFrames

        return compute_view(SparkFrames(self._session()), view, raw)

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Run the function and bring its columns to the platform's names."""
        from loopline.platform_core.features.definitions import compute_labels
        from loopline.resources.pyspark.frames import SparkFrames

        return compute_labels(SparkFrames(self._session()), labels, raw)

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Join each view by one walk over its rows and the labels."""
        from loopline.platform_core.features.point_in_time import point_in_time
        from loopline.resources.pyspark.point_in_time import matching

        return point_in_time(labels, views, lambda *sides: matching(self._session(), *sides))

    def _session(self) -> SparkSession:
        """Return the process's session; Spark itself starts only one."""
        from pyspark.sql import SparkSession

        where = SparkSession.builder.remote(self.remote) if self.remote else SparkSession.builder.master(self.master)
        where = where.appName(self.app_name)
        for name, value in {**QUIET, **self.options, **OURS}.items():
            where = where.config(name, value)
        return where.getOrCreate()
