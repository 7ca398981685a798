"""Event source on PostgreSQL and compatible databases: incremental pull by a watermark column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Self

from pydantic import Field

from loopline.resources.postgres.session import PostgresSession
from loopline.resources.tables.event_source import TableEventSource


class PostgresEventSource(TableEventSource):
    """Tables and queries of the database at ``url`` (``postgresql://user:password@host/database``).

    ``tables`` names a table for ``team/source``, for all of a team (``team/*``) or for all (``*``); other sources
    arrive as files in ``landing``. Rows are read once and kept as pages in ``<landing>/.taken``: an arrival is a page.
    Each look is one transaction that reads only and sees one state (REPEATABLE READ); a statement may take
    ``statement_seconds``. The account needs SELECT and nothing else. One process looks each ``look_seconds`` at most.
    """

    extras = ("postgres",)
    url: str
    statement_seconds: float = Field(45.0, gt=0)
    sessions: ClassVar[type[PostgresSession]] = PostgresSession

    def session(self) -> AbstractContextManager[PostgresSession]:
        """Begin a transaction."""
        return self.sessions.opened(self.url, self.statement_seconds)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:
        """Give a schema of its own, which the account must be allowed to create, and pages of its own."""
        from loopline.resources.postgres.delivery import schema

        with schema(self.url, name), self.kept_apart(name, name) as place:
            yield place

    def kit_fixtures(self) -> Mapping[str, Any]:
        """Insert into tables of that schema."""
        from loopline.resources.postgres.delivery import PostgresDelivery

        return {"deliver": PostgresDelivery(self.url, self.kit_place)}
