"""Data contract of a source as columns and rules, read from an ODCS file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

ColumnType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]
PERSONAL = frozenset({"personal", "restricted"})
"""ODCS ``classification`` of a column whose values name or find a person."""
EARLIEST_EVENT = datetime(1900, 1, 1, tzinfo=UTC)
"""An event before it is an empty date, or a wrong one, unless the contract says otherwise."""
MOST_AHEAD = timedelta(days=1)
"""So far may an event lie ahead of its landing, as clocks and time zones differ, unless the contract says otherwise."""


@dataclass(frozen=True)
class Column:
    """A column of the accepted rows.

    ``name`` is what the column is called after landing, ``physical_name`` in the arriving file; ``format`` is the
    pattern of dates and timestamps, as it stands in the contract and ``jdk_pattern`` reads it. ``timestamp`` columns
    become UTC µs. A column that is not ``required`` may hold nulls, and may be absent from a file whose columns the
    contract all names. ``personal`` is a column whose ``classification`` says that it names or finds a person.
    ``entity`` is the entity whose key it holds under another name, where the contract says so.
    """

    name: str
    physical_name: str
    type: ColumnType
    required: bool = False
    format: str | None = None
    personal: bool = False
    entity: str | None = None


@dataclass(frozen=True)
class Rule:
    """A condition on one column, or on a row; ``name`` is the reason that a dead letter carries.

    Kinds and their ``arguments``: ``parsable`` (), ``required`` (), ``minimum`` / ``exclusive_minimum`` /
    ``maximum`` / ``exclusive_maximum`` (number,) or, of a date or an instant, (ISO 8601 in UTC,), ``pattern`` (regex,),
    ``one_of`` (values…), ``max_length`` / ``min_length`` (n,), ``unique`` (), ``unique_key`` (columns…), which is about
    the rows of one arrival.
    """

    name: str
    column: str
    kind: str
    arguments: tuple[str | float | int, ...] = ()


@dataclass(frozen=True)
class RowContract:
    """A contract as columns and rules; ``path`` is where it was read from.

    ``key`` are the columns that name a row, in the order of the key, none where rows have no name: of rows of one key
    the newest arrival holds. ``regions`` are where the rows may be, None where the contract does not say.
    """

    name: str
    version: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    path: Path
    key: tuple[str, ...] = ()
    regions: frozenset[str] | None = None

    def row_by_row(self, *, of_one_arrival: bool = False) -> RowContract:
        """Leave out what is asked of a file as a whole; a record of a stream is right or wrong by itself.

        Of records of one key the later one holds, so that two of them are no contradiction; two rows ``of_one_arrival``
        are.
        """
        alone = replace(self, columns=tuple(replace(column, required=False) for column in self.columns))
        return alone if of_one_arrival else alone.in_order()

    def in_order(self) -> RowContract:
        """Let a key stand in one arrival again and again, whose rows are in the order of what happened."""
        return replace(self, rules=tuple(rule for rule in self.rules if rule.kind != "unique_key"))

    def of_key(self) -> RowContract:
        """Leave only what is asked of the key: all that a row must say that ends another."""
        columns = tuple(column for column in self.columns if column.name in self.key)
        named = (*self.key, "")  # a rule of the whole row has no column
        return replace(self, columns=columns, rules=tuple(rule for rule in self.rules if rule.column in named))

    def as_of(self, now: datetime) -> RowContract:
        """Bound the event time where the contract does not: from 1900 to a day ahead of now (UTC).

        An expiry date may lie far ahead, an event may not; and a
        column of events yet to come says ``maximum`` itself.
        """
        event = self.event_time
        return self if event is None else replace(self, rules=(*self.rules, *self._bounds(event, now)))

    @property
    def event_time(self) -> str | None:
        """Return the column that says when a row happened: the first timestamp; None where rows say nothing."""
        return next((column.name for column in self.columns if column.type == "timestamp"), None)

    @property
    def restates(self) -> bool:
        """Say whether content that comes again says something: how things are then, not what happened once."""
        return self.event_time is None or bool(self.key)

    def _bounds(self, event: str, now: datetime) -> Iterator[Rule]:
        kinds = {rule.kind.removeprefix("exclusive_") for rule in self.rules if rule.column == event}
        for kind, instant in (("minimum", EARLIEST_EVENT), ("maximum", now.astimezone(UTC) + MOST_AHEAD)):
            if kind not in kinds:
                yield Rule(f"{event}.{kind}", event, kind, (instant.isoformat(),))


def columns_of(contract: RowContract, entity: str) -> list[str]:
    """Return the columns that hold an entity's key: the one of its name, and those that the contract says of."""
    return [column.name for column in contract.columns if entity in (column.name, column.entity)]
