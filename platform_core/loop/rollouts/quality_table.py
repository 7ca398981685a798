"""Table of quality windows: the latest measurement of each version and window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, tuple_, update

from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Ledger

column = tables.quality_windows.c


@dataclass(frozen=True)
class Row:
    """One version's window from ``since`` to ``until``; ``spec`` names by what rules it was measured."""

    version: str
    since: datetime
    until: datetime
    measured_at: datetime
    spec: str
    measured: str
    fairness: str

    def overlaps(self, other: Row) -> bool:
        """Say whether both are of one version, and share some time."""
        return self.version == other.version and self.since < other.until and self.until > other.since


NAMES = tuple(Row.__dataclass_fields__)
NOT_JUDGED = "[]"
"""What ``fairness`` is where no rule applies."""


def rows(ledger: Ledger, ref: ModelRef, *, judged: bool = False, newest: int | None = None) -> list[Row]:
    """Return windows, oldest first: all, those of which fairness was ``judged``, or the ``newest`` of each version."""
    which = _of(ref) & (column.fairness != NOT_JUDGED) if judged else _of(ref)
    if newest is not None:
        place = func.row_number().over(partition_by=column.version, order_by=column.since.desc()).label("place")
        placed = select(column.version, column.since, place).where(which).subquery()
        named = select(placed.c.version, placed.c.since).where(placed.c.place <= newest)
        which &= tuple_(column.version, column.since).in_(named)
    with ledger.reading() as connection:
        query = select(*(column[name] for name in NAMES)).where(which).order_by(column.since, column.version)
        return [Row(*row) for row in connection.execute(query)]


def add(ledger: Ledger, ref: ModelRef, measured: Sequence[Row]) -> None:
    """Add rows of versions and times of which there is none."""
    if measured:
        with ledger.writing(ref) as connection:
            connection.execute(insert(tables.quality_windows), [_named(ref, row) for row in measured])


def put(ledger: Ledger, ref: ModelRef, measured: Sequence[Row], spec: str) -> None:
    """Let rows take the place of those of their version and time, and all that stay count as measured by ``spec``.

    Windows of another length give way where they overlap; where the lake has nothing left to measure they stay.
    """
    with ledger.writing(ref) as connection:
        others = _of(ref) & (column.spec != spec)
        connection.execute(update(tables.quality_windows).where(others).values(spec=spec))
        if measured:
            since, until = bindparam("of_since", type_=tables.UtcTime), bindparam("of_until", type_=tables.UtcTime)
            overlaps = (column.version == bindparam("of_version")) & (column.since < until) & (column.until > since)
            times = [{"of_version": row.version, "of_since": row.since, "of_until": row.until} for row in measured]
            connection.execute(delete(tables.quality_windows).where(_of(ref), overlaps), times)
            connection.execute(insert(tables.quality_windows), [_named(ref, row) for row in measured])


def _of(ref: ModelRef) -> ColumnElement[bool]:
    return (column.team == ref.team) & (column.model == ref.model)


def _named(ref: ModelRef, row: Row) -> dict[str, Any]:
    return {**vars(row), "team": ref.team, "model": ref.model}
