"""Totals of landed data by source, over every landing in the ledger; for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Integer, func, select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import LANDED
from loopline.platform_core.observability.totals import Totals

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

_entry = tables.entries.c


@dataclass(frozen=True)
class Landed:
    """Totals of a source: its landings, the newest of them, and the files or records, rows and dead letters."""

    landings: int
    newest: datetime
    arrivals: int
    rows: int
    dead: int

    def __add__(self, other: Landed) -> Landed:
        """Add other landings of the same source."""
        counted = (getattr(self, name) + getattr(other, name) for name in ("arrivals", "rows", "dead"))
        return Landed(self.landings + other.landings, max(self.newest, other.newest), *counted)


class Landings(Totals[str, Landed]):
    """Totals by ``team/source``."""

    kind = LANDED

    def sums(self, connection: Connection, after: int, *which: ColumnElement[bool]) -> dict[str, Landed]:  # noqa: ARG002
        """Add up what landings brought."""
        source = _entry.details["source"].as_string().label("source")
        counted = (_entry.details[name].as_string().cast(Integer) for name in ("arrivals", "rows", "dead"))
        added = (func.coalesce(func.sum(number), 0) for number in counted)
        query = select(source, func.count(), func.max(_entry.at), *added).where(*which)
        return {name: Landed(*row) for name, *row in connection.execute(query.group_by(source))}
