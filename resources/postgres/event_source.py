"""Rows of PostgreSQL, or of what speaks its protocol, by a watermark column."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from loopline.resources.postgres.session import PostgresSession
from loopline.resources.postgres.tables import Reading, Table, table_of
from loopline.resources.taking.event_source import TakenEventSource

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.taking.page_log import PageLog


class PostgresEventSource(TakenEventSource):
    """Tables and queries of the database at ``url`` (``postgresql://user:password@host/database``).

    ``tables`` names a table for ``team/source``, for all of a team (``team/*``) or for all (``*``); other sources
    arrive as files in ``landing``. Rows are read once and kept as pages in ``<landing>/.taken``: an arrival is a page.
    Each look is one transaction that reads only and sees one state (REPEATABLE READ); a statement may take
    ``statement_seconds``. The account needs SELECT and nothing else. One process looks each ``look_seconds`` at most.
    """

    url: str
    tables: dict[str, Table]
    statement_seconds: float = Field(45.0, gt=0)
    sessions: ClassVar[type[PostgresSession]] = PostgresSession

    def is_asked(self, source: str) -> bool:
        """Say whether a source has a table."""
        return table_of(self.tables, source) is not None

    def take(self, source: str, log: PageLog, until: float) -> None:
        """Take the rows that are new."""
        from loopline.resources.postgres.taking import look

        table = table_of(self.tables, source)
        assert table is not None
        with self.sessions.opened(self.url, self.statement_seconds) as session:
            look(log, Reading(source, table, session), until)

    def rows_of(self, content: bytes, name: str) -> pa.Table:
        """Read a page without what it is kept by."""
        from loopline.resources.folder.parquet_rows import read_rows
        from loopline.resources.postgres.taken_rows import MARK

        return read_rows(content, name).drop_columns([MARK])
