"""Test delivery into BigQuery: a temporary data set, and inserts into its tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from loopline.platform_core.testing.event_source import Delivery
from loopline.resources.bigquery.project import Project


class BigqueryDelivery(Delivery):
    """Inserts by jobs; ``unfinished`` is a transaction of a session, which nobody commits."""

    replaces = False
    is_ragged = False
    is_bare = False
    lines = (1, 2, 3, 4, 5)
    unreadable: ClassVar[Sequence[bytes]] = (b"_line\n1\n",)

    def __init__(self, project: Project, data_set: str) -> None:
        self._project, self._data_set = project, data_set

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:  # noqa: ARG002 - rows have none
        """Insert, in one statement."""
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        columns = ", ".join(f"`{column}` STRING" for column in header)
        self._run(f"CREATE TABLE IF NOT EXISTS {self._table(source)} ({columns}, `_at` TIMESTAMP NOT NULL)")
        if rows:
            self._run(*self._inserting(source, rows, arrived_at))

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Insert and do not commit."""
        self.whole(source, name, content.splitlines()[0], datetime.now(UTC))
        _, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        session = self._run("BEGIN TRANSACTION", create_session=True)
        self._run(*self._inserting(source, rows, datetime.now(UTC)), session=session)

    def holds(self, source: str, name: str) -> bool:  # noqa: ARG002 - as above
        """Look for a row."""
        with self._project.client() as client:
            return any(True for _ in client.query(f"SELECT 1 FROM {self._table(source)} LIMIT 1").result())  # noqa: S608

    def nothing(self, source: str) -> None:
        """Make an empty table."""
        self.whole(source, "", b"id\n", datetime.now(UTC))

    def _table(self, source: str) -> str:
        return f"`{self._data_set}.{source.partition('/')[2]}`"

    def _inserting(self, source: str, rows: Sequence[Sequence[str]], at: datetime) -> tuple[str, list[Any]]:
        marks = ", ".join("(" + ", ".join(["?"] * (len(row) + 1)) + ")" for row in rows)
        values = [each for row in rows for each in (*(value or None for value in row), at)]
        return f"INSERT INTO {self._table(source)} VALUES {marks}", values  # noqa: S608 - the kit's own name

    def _run(self, statement: str, values: Sequence[Any] = (), session: str = "", **how: Any) -> str:
        """Run a statement; returns the session that it began."""
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(None, "TIMESTAMP" if isinstance(value, datetime) else "STRING", value)
                for value in values
            ],
            connection_properties=[bigquery.ConnectionProperty("session_id", session)] if session else [],
            **how,
        )
        with self._project.client() as client:
            job = client.query(statement, config)
            job.result()
            return job.session_info.session_id if job.session_info else ""


@contextmanager
def data_set(project: Project, name: str) -> Iterator[str]:
    """Create a data set, whatever is in one of its name, and delete it with all that is in it; gives its name."""
    with project.client() as client:
        client.create_dataset(name, exists_ok=True)
    try:
        yield name
    finally:
        with project.client() as client:
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)
