"""Migration of the ledger: copies rows with their ids; the target may only hold the source's first entries.

Importing this module imports SQLAlchemy: import it inside the function that moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from loopline.platform_core.audit.tables import audit_checkpoints, audit_entries, audit_removed
from loopline.platform_core.errors import ContractBroken, Refused
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.migration.figures import MovedRows

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

PAGE = 2_000
"""Rows in one transaction."""
Row = Mapping[str, Any]


def count(source: Ledger, target: Ledger) -> list[MovedRows]:
    """Count rows of each table, and those that a run would write.

    Raises:
        Refused: the target's entries are not how the source's begin.
    """
    known = _begins(source, target)
    moved = []
    for table in _tables():
        rows = _rows(source, table)
        is_same = table is not tables.entries and rows == _rows(target, table)
        new = len(rows) - known if table is tables.entries else 0 if is_same else len(rows)
        moved.append(MovedRows(table.name, len(rows), new, _sha256(rows)))
    for table in _audit():
        new, rows = len(_continues(source, target, table)), _rows(source, table)
        moved.append(MovedRows(table.name, len(rows), new, _sha256(rows)))
    return moved


def run(source: Ledger, target: Ledger, report: Callable[[str], None]) -> list[MovedRows]:
    """Append the entries that the target lacks, then let the other tables be as they are at the source.

    Those hold what is true now, and change at the source until it stops; entries never do.

    Raises:
        Refused: the target's entries are not how the source's begin. ContractBroken: the target cannot hold a row, or
        holds another one in the end.
    """
    known = _begins(source, target)
    copied = {tables.entries.name: _append(source, target, known, report)}
    for table in _audit():
        report(f"ledger {table.name}")
        copied[table.name] = _continue(source, target, table)
    for table in _tables():
        if table is not tables.entries:
            report(f"ledger {table.name}")
            copied[table.name] = _replace(source, target, table)
    return [_compared(source, target, table, copied[table.name]) for table in (*_tables(), *_audit())]


def newest(ledger: Ledger) -> int:
    """Return the number of the last entry, 0 when there is none."""
    with ledger.reading() as connection:
        return int(connection.scalar(select(func.max(tables.entries.c.entry_id))) or 0)


def _begins(source: Ledger, target: Ledger) -> int:
    """Return how many entries the target has, if the source's begin with them."""
    known = 0
    none: list[Row] = []
    for here, there in zip_longest(_pages(source), _pages(target), fillvalue=none):
        for n, row in enumerate(there):
            if n >= len(here) or here[n] != row:
                raise Refused(
                    f"entry {row['entry_id']} of the target's ledger ({row['kind']}) is not one of the source's",
                    "the target was at work, or is another installation's: move into an empty ledger",
                )
        known += len(there)
        if len(there) < PAGE:
            break
    return known


def _append(source: Ledger, target: Ledger, known: int, report: Callable[[str], None]) -> int:
    copied = 0
    for page in _pages(source, skip=known):
        report(f"ledger entries from {page[0]['entry_id']} on")
        with target.writing() as connection:
            _insert(connection, tables.entries, page)
        copied += len(page)
    _count_on(target, "entries", "entry_id")
    return copied


def _count_on(target: Ledger, table: str, column: str) -> None:
    """Let the next row have the next number; SQLite counts on from the largest by itself."""
    with target.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), greatest(max({column}), 1),"  # noqa: S608
                    f" max({column}) IS NOT NULL) FROM {table}"
                )
            )


def _continues(source: Ledger, target: Ledger, table: Table) -> list[Row]:
    """Return the rows of the audit's record that the target lacks, if those that it has are the source's.

    Raises:
        Refused: it has others, which nobody may take away.
    """
    rows, there = _rows(source, table), _rows(target, table)
    if there != rows[: len(there)]:
        raise Refused(
            f"the target's {table.name} are not how the source's begin",
            "the target was at work, or is another installation's: move into an empty ledger",
        )
    return rows[len(there) :]


def _continue(source: Ledger, target: Ledger, table: Table) -> int:
    """Append what the target lacks of the record, as it was sealed: it is verified there by the same key."""
    rows = _continues(source, target, table)
    for at in range(0, len(rows), PAGE):
        with target.writing() as connection:
            _insert(connection, table, rows[at : at + PAGE])
    if table is audit_entries:
        _count_on(target, table.name, "audit_id")
    return len(rows)


def _replace(source: Ledger, target: Ledger, table: Table) -> int:
    rows = _rows(source, table)
    if rows == _rows(target, table):
        return 0
    with target.writing() as connection:
        connection.execute(delete(table))
        _insert(connection, table, rows)
    return len(rows)


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    try:
        if rows:
            connection.execute(insert(table), [dict(row) for row in rows])
    except OperationalError:
        raise  # the ledger says that it does not answer
    except (DBAPIError, ValueError) as error:
        raise ContractBroken(
            f"the target's ledger cannot hold rows of {table.name}: {getattr(error, 'orig', error)}",
            "mend the row at the source by hand: PostgreSQL holds texts to their length, and takes no NUL in them",
        ) from error


def _compared(source: Ledger, target: Ledger, table: Table, copied: int) -> MovedRows:
    rows = _rows(source, table)
    here, there = _sha256(rows), _sha256(_rows(target, table))
    if here != there:
        raise ContractBroken(
            f"ledger table {table.name} at the target is not the source's: {there[:12]}, not {here[:12]}",
            "see that neither side is at work, and run it again",
        )
    return MovedRows(table.name, len(rows), copied, here)


def _audit() -> list[Table]:
    return [audit_entries, audit_checkpoints, audit_removed]


def _tables() -> list[Table]:
    return [tables.entries, *(table for table in tables.metadata.sorted_tables if table is not tables.entries)]


def _rows(ledger: Ledger, table: Table) -> list[Row]:
    """Read a whole table, in the order of its keys as this process sorts them: databases sort texts differently."""
    with ledger.reading() as connection:
        found = [dict(row) for row in connection.execute(select(table)).mappings()]
    keys = [column.name for column in table.primary_key]
    return sorted(found, key=lambda row: [row[key] for key in keys])


def _pages(ledger: Ledger, skip: int = 0) -> Iterator[list[Row]]:
    """Read entries in their order, a page at a time."""
    column = tables.entries.c.entry_id
    after = 0
    if skip:
        with ledger.reading() as connection:
            after = int(connection.scalar(select(column).order_by(column).offset(skip - 1).limit(1)) or 0)
    while True:
        query = select(tables.entries).where(column > after).order_by(column).limit(PAGE)
        with ledger.reading() as connection:
            page: list[Row] = [dict(row) for row in connection.execute(query).mappings()]
        if not page:
            return
        yield page
        after = page[-1]["entry_id"]


def _sha256(rows: list[Row]) -> str:
    hashed = hashlib.sha256()
    for row in rows:
        hashed.update(repr(sorted(row.items())).encode("utf-8", "backslashreplace"))
    return hashed.hexdigest()
