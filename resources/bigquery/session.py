"""BigQuery session of one pull: read-only statements, rows by pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, Self

from loopline.resources.bigquery.project import Project
from loopline.resources.tables.session import VALUE, Answer
from loopline.resources.tables.watermarks import Kind

FETCHED = 5000
"""Rows of a page, which the service cuts at ten megabytes."""
_KINDS: Mapping[str, Kind] = {
    "TIMESTAMP": "instant",
    "DATETIME": "local",
    "DATE": "date",
    "INTEGER": "number",
    "FLOAT": "number",
    "NUMERIC": "number",
    "BIGNUMERIC": "number",
}


class BigquerySession:
    """Each statement sees one state, a later one what was written since: the time is asked for before the rows."""

    def __init__(self, client: Any, project: Project) -> None:
        self._client, self._project = client, project

    @classmethod
    @contextmanager
    def opened(cls, project: Project) -> Iterator[Self]:
        """Make a client."""
        with project.client() as client:
            yield cls(client, project)

    def now(self) -> datetime:
        """Ask BigQuery, which bills nothing for it."""
        instant: datetime = next(self.ask("SELECT CURRENT_TIMESTAMP()").rows)[0]
        return instant.astimezone(UTC)

    def columns(self, relation: str) -> Sequence[str]:
        """Let a SELECT be checked and not run, which is free."""
        job = self._job(f"SELECT * FROM {relation}", (), dry_run=True)  # noqa: S608 - quoted
        return [each.name for each in job.schema]

    def quoted(self, name: str) -> str:
        """Quote as GoogleSQL does."""
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def relation(self, table: str) -> str:
        """Quote the whole: a project's name may have dots itself."""
        return self.quoted(table)

    def ask(self, select: str, values: Sequence[Any] = ()) -> Answer:
        """Run a SELECT."""
        seconds = self._project.statement_seconds
        rows = self._job(select.replace(VALUE, "?"), values).result(
            FETCHED, retry=None, timeout=seconds, job_retry=None
        )
        return Answer(
            [each.name for each in rows.schema],
            [_KINDS.get(each.field_type) if each.mode != "REPEATED" else None for each in rows.schema],
            (row.values() for row in rows),
        )

    def _job(self, statement: str, values: Sequence[Any], **how: Any) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=[bigquery.ScalarQueryParameter(None, _type_of(value), value) for value in values],
            job_timeout_ms=int(self._project.statement_seconds * 1000),
            maximum_bytes_billed=int(self._project.most_gigabytes * 10**9) or None,
            labels={"made-by": "loopline"},
            **how,
        )
        seconds = self._project.statement_seconds
        return self._client.query(statement, config, retry=None, job_retry=None, timeout=seconds)


def _type_of(value: Any) -> str:
    """Return the type that a value is sent as: BigQuery compares a column with its own type only."""
    if isinstance(value, datetime):
        return "TIMESTAMP" if value.tzinfo else "DATETIME"
    return "DATE" if isinstance(value, date) else "INT64"
