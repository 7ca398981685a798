"""Interface of a database session of one pull: read-only statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from loopline.resources.tables.watermarks import Kind

VALUE = "\0"
"""Stands in a SELECT for a value: a query of the settings may hold whatever a driver would take for one."""


class Answer(NamedTuple):
    """Names of columns, which kind of watermark each may be (None: of none), and rows, fetched as they are used."""

    columns: Sequence[str]
    kinds: Sequence[Kind | None]
    rows: Iterator[Sequence[Any]]


class Session(Protocol):
    """One look at a database, which reads only.

    Its calls raise ``InvalidEnvironment`` or ``NotFound`` where the settings name what is not there or not allowed,
    ``ContractBroken`` where a value is no text, and ``StoreUnavailable`` where another try may help.
    """

    def now(self) -> datetime:
        """Ask for the database's own time (UTC)."""

    def columns(self, relation: str) -> Sequence[str]:
        """Ask for the columns of a table or of a query in parentheses, without reading a row."""

    def ask(self, select: str, values: Sequence[Any] = ()) -> Answer:
        """Send a SELECT in which ``VALUE`` stands for each value; the next call ends what is left of this answer."""

    def quoted(self, name: str) -> str:
        """Write a column's name as it is spelled."""

    def relation(self, table: str) -> str:
        """Write a table's name, its parts separated by dots, as they are spelled."""


def quoted(name: str) -> str:
    """Write a name as it is spelled, as the SQL standard has it."""
    return '"' + name.replace('"', '""') + '"'
