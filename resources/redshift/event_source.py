"""Event source on Amazon Redshift: incremental pull by a watermark column."""

from __future__ import annotations

from typing import ClassVar

from loopline.resources.postgres.event_source import PostgresEventSource
from loopline.resources.postgres.session import PostgresSession


class RedshiftSession(PostgresSession):
    """A transaction of Redshift's, which knows no other isolation and has a clock of its own."""

    isolation = "SERIALIZABLE"
    now_is = "SELECT getdate()"


class RedshiftEventSource(PostgresEventSource):
    """Tables and queries of the cluster or workgroup at ``url`` (``postgresql://user:password@host:5439/database``).

    All else is as with ``postgres``. Rows come through the leader node by one cursor, which holds the whole result
    meanwhile: of a large table let a query take what is wanted.
    """

    sessions: ClassVar[type[PostgresSession]] = RedshiftSession
