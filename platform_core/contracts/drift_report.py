"""Contract of drift reports: draws a page of drift for people to read."""

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

    def kept(self, model: str) -> Sequence[str]:  # noqa: ARG002 - for those who keep pages elsewhere
        """Return the file names of what a ``store`` holds of a model's pages, sorted; nothing where none is named.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        return ()

    def fetch(self, model: str, page: Path) -> bool:  # noqa: ARG002
        """Bring a page of that file name from the ``store``, whole or not at all; says whether it is there.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        return False

    def place(self, model: str, name: str) -> str:  # noqa: ARG002
        """Return the URL at which the ``store`` keeps a page, which only those read who may read the store."""
        return ""

    def link(self, model: str, name: str) -> str:
        """Sign a URL by which whoever has it reads this page for a while; made anew each time, and kept nowhere.

        Raises:
            Unsupported: no ``store`` is named, or this identity cannot sign. StoreUnavailable: it did not answer.
        """
        raise Unsupported(
            f"{model}/{name} is on this machine alone, so there is no link to it",
            "name a store for drift_report in the environment file, or send people to the portal",
        )

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
