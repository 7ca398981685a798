"""Rows of a database by a watermark column, as arrivals."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_source import Arrival
from loopline.resources.tables.clocks import Present
from loopline.resources.tables.session import Session
from loopline.resources.tables.tables import Reading, Table, table_of
from loopline.resources.taking.event_source import TakenEventSource

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.taking.page_log import PageLog


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

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List the pages; one is in order where each of its rows has a watermark of its own."""
        from loopline.resources.tables.taking import cursor_of

        found = super().arrivals(source, known, limit)
        if not self.is_asked(source):
            return found
        pages = self._pages(source).pages
        orders = [cursor_of(pages[int(each.name.partition("-")[0]) - 1]).in_order for each in found]
        return [replace(each, in_order=in_order) for each, in_order in zip(found, orders, strict=True)]

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
