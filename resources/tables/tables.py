"""Table settings of a source: table or query, watermark column, and its SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.tables.session import VALUE, Answer, Session
from loopline.resources.tables.taken_rows import MARK


class Table(BaseModel):
    """Rows of ``table`` (``schema.name``) or of ``query`` by the column ``watermark``, an instant or a whole number.

    A row may become visible until ``late_seconds`` after its instant (of a day: after its end), or until numbers
    greater by ``late_numbers`` are there, and is taken all the same; one that comes later still may not be taken.
    ``without`` names columns that stay in the database. A page has ``page_rows`` rows at most, whose instants lie
    within ``page_seconds``: so exactly is known when history could be known. ``{team}`` and ``{source}`` in ``table``
    are the source's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str = ""
    query: str = ""
    watermark: str = Field(min_length=1)
    late_seconds: float = Field(300.0, ge=0, le=1e10)
    late_numbers: int = Field(1000, ge=0)
    without: tuple[str, ...] = ()
    page_rows: int = Field(10_000, ge=1, le=1_000_000)
    page_seconds: float = Field(3600.0, gt=0, le=1e10)

    @model_validator(mode="after")
    def _is_one(self) -> Table:
        if bool(self.table) == bool(self.query):
            raise ValueError("name either a table or a query")
        return self


def table_of(tables: Mapping[str, Table], source: str) -> Table | None:
    """Find a source's table: under its own name, its team's ``team/*``, or ``*``; None if it arrives as files."""
    team, _, name = source.partition("/")
    found = tables.get(source) or tables.get(f"{team}/*") or tables.get("*")
    if found is None or not found.table:
        return found
    return found.model_copy(update={"table": found.table.replace("{team}", team).replace("{source}", name)})


@dataclass(frozen=True)
class Reading:
    """A source's table while it is read in a session."""

    source: str
    table: Table
    session: Session

    def columns(self) -> Sequence[str]:
        """Ask which columns there are.

        Raises:
            InvalidEnvironment: one that the settings name is none of them, or one stands twice.
        """
        there = [*self.session.columns(self._relation)]
        if twice := [name for name in there if there.count(name) > 1]:
            raise InvalidEnvironment(f"{self.source}: column {twice[0]!r} stands twice", "name each column once: AS")
        if MARK in there:
            raise InvalidEnvironment(
                f"{self.source}: pages have a column {MARK!r} of their own", "rename it by a query"
            )
        for name in (self.table.watermark, *self.table.without):
            if name not in there:
                raise InvalidEnvironment(
                    f"{self.source}: {self.named} has no column {name!r}",
                    f"name one of {', '.join(there)}; names are as the database spells them",
                )
        return [name for name in there if name not in self.table.without]

    def rows(self, columns: Sequence[str], start: object) -> Answer:
        """Ask for rows from a watermark on, by watermark; the watermark comes before the columns."""
        names = ", ".join([self._mark, *map(self.session.quoted, columns)])
        where = f"{self._mark} IS NOT NULL" if start is None else f"{self._mark} >= {VALUE}"
        select = f"SELECT {names} FROM {self._relation} WHERE {where} ORDER BY {self._mark}"  # noqa: S608 - quoted
        return self.session.ask(select, () if start is None else (start,))

    def has_none(self) -> bool:
        """Say whether a row has no watermark."""
        select = f"SELECT 1 FROM {self._relation} WHERE {self._mark} IS NULL LIMIT 1"  # noqa: S608 - quoted
        return any(True for _ in self.session.ask(select).rows)

    @property
    def named(self) -> str:
        """Name the table for people."""
        return self.table.table or "the query"

    @property
    def _mark(self) -> str:
        return self.session.quoted(self.table.watermark)

    @property
    def _relation(self) -> str:
        if self.table.table:
            return self.session.relation(self.table.table)
        return f"({self.table.query.strip().rstrip(';')}\n) AS source_rows"
