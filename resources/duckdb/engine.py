"""Engine on DuckDB: one machine, also for data larger than its memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.engine import Checked, Engine, ViewRows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import RowContract
    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.specs.views.features import FeatureView


class DuckdbEngine(Engine):
    """Runs declarations by DuckDB; a team's function gets a Narwhals frame around a relation.

    ``threads`` run views and labels: with more than one, sums of fractions over more than 100,000 rows differ in their
    last bits from run to run. Joins add nothing up and use all cores. ``memory_limit``, such as ``4GB``, is what a
    query may hold before it spills to disk.
    """

    extras = ("duckdb",)
    threads: int = 1
    memory_limit: str | None = None

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        """Arrivals are checked where they are read, in memory, whatever the engine: Polars does it."""
        from loopline.resources.polars.row_checks import check_rows

        return check_rows(rows, contract)

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Run the function, and find out when the platform could first have done so."""
        from loopline.platform_core.features.compute.definitions import compute_view
        from loopline.resources.duckdb.frames import DuckdbFrames

        with self._connected({"threads": self.threads}) as connection:
            return compute_view(DuckdbFrames(connection), view, raw)

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Run the function and bring its columns to the platform's names."""
        from loopline.platform_core.features.compute.definitions import compute_labels
        from loopline.resources.duckdb.frames import DuckdbFrames

        with self._connected({"threads": self.threads}) as connection:
            return compute_labels(DuckdbFrames(connection), labels, raw)

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Join each view by one as-of join."""
        from loopline.platform_core.features.compute.point_in_time import point_in_time
        from loopline.resources.duckdb.point_in_time import matching

        with self._connected({}) as connection:
            return point_in_time(labels, views, lambda *sides: matching(connection, *sides))

    @contextmanager
    def _connected(self, config: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a database in memory that spills into a folder of its own."""
        import duckdb

        if self.memory_limit is not None:
            config["memory_limit"] = self.memory_limit
        with (
            TemporaryDirectory(prefix="loopline-duckdb-") as folder,
            duckdb.connect(config={**config, "temp_directory": folder}) as connection,
        ):
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
