"""Event source on a database: base class, incremental pull by a watermark column."""

from __future__ import annotations

import abc
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self

from pydantic import PrivateAttr

from loopline.resources.tables.clocks import Present
from loopline.resources.tables.session import Session
from loopline.resources.tables.tables import Reading, Table, table_of
from loopline.resources.taking.event_source import TakenEventSource

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.taking.page_log import Page, PageLog


class TableEventSource(TakenEventSource):
    """Tables and queries of a database.

    ``tables`` names a table for ``team/source``, for all of a team (``team/*``) or for all (``*``); other sources
    arrive as files in ``landing``. Rows are read once and kept as pages in ``<landing>/.taken``: an arrival is a page.
    One process looks each ``look_seconds`` at most.
    """

    tables: dict[str, Table]
    _present: Present = PrivateAttr(default_factory=Present)

    @abc.abstractmethod
    def session(self) -> AbstractContextManager[Session]:
        """Open a session for one look."""

    def is_asked(self, source: str) -> bool:
        """Say whether a source has a table."""
        return table_of(self.tables, source) is not None

    def take(self, source: str, log: PageLog, until: float) -> None:
        """Take the rows that are new."""
        from loopline.resources.tables.taking import look

        table = table_of(self.tables, source)
        assert table is not None
        with self.session() as session:
            look(log, Reading(source, table, session), until, self._present)

    def in_order(self, source: str, page: Page) -> bool:  # noqa: ARG002 - its cursor says it
        """Say whether each row of a page has a watermark of its own."""
        from loopline.resources.tables.taking import cursor_of

        return cursor_of(page).in_order

    def rows_of(self, content: bytes, name: str) -> pa.Table:
        """Read a page without what it is kept by."""
        from loopline.resources.folder.parquet_rows import read_rows
        from loopline.resources.tables.taken_rows import MARK

        return read_rows(content, name).drop_columns([MARK])

    @property
    def kit_place(self) -> str:
        """Return the place of the team ``kit``'s tables, "" where it has none: what ``kept_apart`` was given."""
        table = table_of(self.tables, "kit/x")
        return table.table.rpartition(".")[0] if table else ""

    def kept_apart(self, name: str, place: str) -> AbstractContextManager[Self]:
        """Give one whose sources of the team ``kit`` are the tables of ``place``, with pages called ``name``.

        ``place``, a schema or a data set, is the vendor's to make and to clear away.
        """
        kit = Table(table=f"{place}.{{source}}", watermark="_at", without=("_at",), page_seconds=60)
        return self.landing_apart(name, tables={"kit/*": kit}, look_seconds=0.0)
