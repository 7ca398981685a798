"""Event source on BigQuery: incremental pull of tables and queries by a watermark column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from pydantic import Field

from loopline.resources.bigquery.project import Project
from loopline.resources.bigquery.session import BigquerySession
from loopline.resources.tables.event_source import TableEventSource


class BigqueryEventSource(TableEventSource):
    """Tables (``dataset.table``, or ``project.dataset.table``) and queries; ``project`` pays, or that of the identity.

    All else is as with ``postgres``. Who asks is found by Application Default Credentials. A look is billed for what it
    reads: partition a table by its watermark, and let one query read ``most_gigabytes`` at most (0: no bound). One
    process looks each ``look_seconds`` at most. ``endpoint`` is a URL other than Google's own.
    """

    extras = ("gcp",)
    project: str = ""
    location: str = ""
    endpoint: str = ""
    statement_seconds: float = Field(45.0, ge=1)
    most_gigabytes: float = Field(100.0, ge=0)
    look_seconds: float = Field(900.0, ge=0)

    def session(self) -> AbstractContextManager[BigquerySession]:
        """Make a client."""
        return BigquerySession.opened(self._project)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:
        """Give a data set of its own, which the identity must be allowed to create, and pages of its own."""
        from loopline.resources.bigquery.delivery import data_set

        with data_set(self._project, name.replace("-", "_")) as there, self.kept_apart(name, there) as place:
            yield place

    def kit_fixtures(self) -> Mapping[str, Any]:
        """Insert into tables of that data set."""
        from loopline.resources.bigquery.delivery import BigqueryDelivery

        return {"deliver": BigqueryDelivery(self._project, self.kit_place)}

    @property
    def _project(self) -> Project:
        return Project(
            project=self.project,
            location=self.location,
            endpoint=self.endpoint,
            statement_seconds=self.statement_seconds,
            most_gigabytes=self.most_gigabytes,
        )
