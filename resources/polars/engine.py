"""Engine on Polars: one machine, all its cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.engine import Checked, Engine, ViewRows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import RowContract
    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.specs.views.features import FeatureView


class PolarsEngine(Engine):
    """Runs declarations by Polars; a team's function gets a Narwhals frame around a lazy one."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        """Compile the contract's rules to expressions and split in one pass."""
        from loopline.resources.polars.row_checks import check_rows

        return check_rows(rows, contract)

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Run the function, and find out when the platform could first have done so."""
        from loopline.platform_core.features.compute.definitions import compute_view
        from loopline.resources.polars.frames import PolarsFrames

        return compute_view(PolarsFrames(), view, raw)

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Run the function and bring its columns to the platform's names."""
        from loopline.platform_core.features.compute.definitions import compute_labels
        from loopline.resources.polars.frames import PolarsFrames

        return compute_labels(PolarsFrames(), labels, raw)

    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Join each view by one sorted as-of join."""
        from loopline.platform_core.features.compute.point_in_time import point_in_time
        from loopline.resources.polars.point_in_time import matching

        return point_in_time(labels, views, matching)
