"""A page that shows drift to people."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import TYPE_CHECKING

from platform_core.contracts.base import Vendor

if TYPE_CHECKING:
    import pyarrow as pa


class DriftReport(Vendor):
    """A page that shows drift to people; it never decides.

    Promises, each with a test in ``platform_core.testing.drift_report``:
      1. ``render`` writes one HTML file that opens without the network and names every column.
      2. At most ``max_rows`` of each side are looked at, and the page says how many of how many.
      3. The same rows give the same verdict values.
      4. A column that is all null or missing on one side does not stop the page.
    """

    max_rows: int = 10_000

    @abc.abstractmethod
    def render(self, reference: pa.Table, current: pa.Table, page: Path, title: str) -> Path:
        """Draw a window against the reference and return the path of the page."""
