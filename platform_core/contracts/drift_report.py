"""A page that shows drift to people."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa


class DriftReport(Vendor):
    """A page that shows drift to people; it never decides.

    Promises, each with a test in ``loopline.platform_core.testing.drift_report``:
      1. ``render`` writes one HTML file that opens without the network and names every column.
      2. At most ``max_rows`` of each side are looked at, and the page says how many of how many.
      3. The same rows give the same verdict values.
      4. A column that is all null or missing on one side does not stop the page, nor do texts and vectors.
      5. Where a ``workspace`` is named, what was drawn is kept there as well, each title once; ``titles`` names them.
    """

    max_rows: int = 10_000
    workspace: str = ""

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:  # noqa: ARG002 - pages lie where they are asked for
        """Give one without the workspace."""
        yield self.with_settings(workspace="")

    @abc.abstractmethod
    def render(self, reference: pa.Table, current: pa.Table, page: Path, title: str) -> Path:
        """Draw a window against the reference and return the path of the page.

        A string column whose field has the metadata ``loopline.kind`` = ``text`` holds texts, a list column vectors.
        """

    def titles(self) -> Sequence[str]:
        """Return the titles of what the workspace holds, sorted; nothing where none is named."""
        return ()

    def browser(self, port: int) -> Sequence[str]:
        """Return the command line of a process that shows the workspace at a port of this machine.

        Raises:
            Unsupported: the vendor has none, or no workspace is named.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot show {self.workspace or 'pages'} at port {port}",
            "open the pages in reports/ with a browser, or bind a vendor that has an interface of its own",
        )
