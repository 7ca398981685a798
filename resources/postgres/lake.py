"""Lake on PostgreSQL: append-only tables in which each row has the version that added it."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.lake import ERASES, Committed, Lake, TableName, Tidied
from loopline.platform_core.errors import CommitConflict, ContractBroken, NotFound
from loopline.platform_core.foundation.names import DATE
from loopline.resources.postgres import kept_types
from loopline.resources.postgres.catalog import Catalog, Held, visible
from loopline.resources.postgres.link import Link
from loopline.resources.tables.session import quoted

if TYPE_CHECKING:
    import pyarrow as pa


class PostgresLake(Lake):
    """Tables in the schema ``in_schema`` of the database at ``url`` (``postgresql://user:password@host/database``).

    The account creates and owns them. Writers to one table take turns: who waits longer than ``lock_seconds`` is told
    to come again. A statement may take ``statement_seconds``. Rows that no kept version shows are deleted by ``tidy``,
    and PostgreSQL's autovacuum gives their space to others. Tables are no files, so they are not moved by ``migrate``.
    """

    extras = ("postgres",)
    can: ClassVar[frozenset[str]] = frozenset({ERASES})

    url: str
    in_schema: str = Field("loopline", min_length=1, max_length=kept_types.LONGEST_NAME)
    statement_seconds: float = Field(600.0, ge=1)
    lock_seconds: float = Field(60.0, gt=0)
    _link: Link | None = PrivateAttr(default=None)
    _marks: dict[TableName, str] = PrivateAttr(default_factory=dict)

    def append(
        self,
        table: TableName,
        rows: pa.Table,
        transactions: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> int:
        """Copy rows in behind the newest version, while other writers to the table wait."""
        append = _Append(table, _canonical(rows), dict(transactions or {}), after)
        append.refuse_odd()
        with self._connected.writing() as cursor:
            if not self._catalog.is_there(cursor):
                self._catalog.make(cursor)
            held = self._catalog.locked(cursor, table)
            known = self._catalog.committed(cursor, held, [*append.transactions])
            if append.is_done(known):
                return held.newest
            schema = append.joined(held)
            self._catalog.widen(cursor, held, schema)
            names = [*map(quoted, append.rows.column_names)]
            relation = self._catalog.relation(held.relation)
            copy = f"COPY {relation} ({', '.join([kept_types.ADDED, *names])}) FROM STDIN (FORMAT csv)"
            cursor.copy_expert(copy, append.content(held.newest + 1))
            return self._catalog.advance(cursor, held, schema, append.transactions)

    def read(  # noqa: PLR0913 - each names what is left out
        self,
        table: TableName,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: date | None = None,
        until: date | None = None,
        among: Mapping[str, pa.Array] | None = None,
        newer_than: int | None = None,
    ) -> pa.Table:
        """Copy rows out of one state of the database."""
        with self._connected.reading() as cursor:
            held = self._find(cursor, table)
            shown, width = self._catalog.width(cursor, held, table, version)
            assert held is not None
            schema = held.columns_of(width)
            _chosen(held, schema, [*(among or {})])
            wanted = schema if columns is None else _chosen(held, schema, columns)
            conditions, values = _conditions(schema, since, until, among or {})
            select = self._catalog.select(held, wanted, [*visible(shown, newer_than), *conditions])
            sink = io.BytesIO()
            cursor.copy_expert(f"COPY ({cursor.mogrify(select, values).decode()}) TO STDOUT (FORMAT csv)", sink)
        sink.seek(0)
        return kept_types.copied_out(sink, wanted)

    def version(self, table: TableName) -> int | None:
        """Look it up."""
        with self._connected.reading() as cursor:
            held = self._find(cursor, table)
        return held.newest if held else None

    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        """Look the applications up."""
        with self._connected.reading() as cursor:
            held = self._find(cursor, table)
            known = self._catalog.committed(cursor, held, applications) if held else {}
        self._marks[table] = f"{held.identity} {held.newest}" if held else ""
        return known

    def mark(self, table: TableName) -> str:
        """Name the table and its version at the last look."""
        return self._marks.get(table, "")

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        """Read what later versions committed."""
        identity, _, since = mark.partition(" ")
        with self._connected.reading() as cursor:
            held = self._find(cursor, table)
            if held is None or held.identity != identity:
                return None
            newer = self._catalog.committed(cursor, held, None, int(since))
        return Committed(newer, f"{held.identity} {held.newest}")

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        """Let versions go, and delete rows that none shows any more."""
        with self._connected.writing() as cursor:
            held = self._locked(cursor, table)
            for version in keep:
                self._catalog.width(cursor, held, table, version)
            versions, relation = self._catalog.relation("_versions"), self._catalog.relation(held.relation)
            cursor.execute(
                f"DELETE FROM {versions} WHERE table_id = %s AND version <> %s AND version <> ALL(%s) "  # noqa: S608
                "AND committed_at <= clock_timestamp() - %s",
                (held.table_id, held.newest, [*keep], older_than),
            )
            cursor.execute(
                f"DELETE FROM {relation} WHERE _gone IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {versions} "  # noqa: S608
                "WHERE table_id = %s AND version >= _added AND version < _gone)",
                (held.table_id,),
            )
            cursor.execute(f"SELECT version FROM {versions} WHERE table_id = %s ORDER BY 1", (held.table_id,))  # noqa: S608
            return Tidied(0, 0, 0, tuple(version for (version,) in cursor.fetchall()))

    def drop_days(self, table: TableName, before: date) -> int:
        """Say of rows which version took them away."""
        with self._connected.writing() as cursor:
            held = self._locked(cursor, table)
            cursor.execute(
                f"UPDATE {self._catalog.relation(held.relation)} SET _gone = %s "  # noqa: S608 - quoted
                "WHERE _gone IS NULL AND _date < %s",
                (held.newest + 1, before),
            )
            taken: int = cursor.rowcount
            if taken:
                self._catalog.advance(cursor, held, held.schema, {})
            return taken

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        """Delete rows whatever version shows them; those versions stay, without these rows.

        PostgreSQL's own vacuum overwrites them, its log is recycled, and what backups hold is for whoever makes them.
        """
        with self._connected.writing() as cursor:
            held = self._locked(cursor, table)
            _chosen(held, held.schema, [*among])
            conditions, values = _conditions(held.schema, None, None, among)
            cursor.execute(
                f"WITH erased AS (DELETE FROM {self._catalog.relation(held.relation)} "  # noqa: S608 - quoted
                f"WHERE {' AND '.join(conditions)} RETURNING _gone) SELECT count(*) FROM erased WHERE _gone IS NULL",
                values,
            )
            count = int(cursor.fetchone()[0])
            if count:
                self._catalog.advance(cursor, held, held.schema, {})
            return count

    def place(self, table: TableName) -> str:
        """Return host, database and schema, without account and password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"postgresql://{host}{parts.path}/{self.in_schema}/{table}"

    def tables(self) -> Sequence[TableName]:
        """Read their names."""
        with self._connected.reading() as cursor:
            if not self._catalog.is_there(cursor):
                return []
            cursor.execute(f"SELECT name FROM {self._catalog.relation('_tables')}")  # noqa: S608 - quoted
            return sorted(name for (name,) in cursor.fetchall())

    def kept_bytes(self) -> int:
        """Add up the schema's tables, with their indexes and what is too long for a row."""
        with self._connected.reading() as cursor:
            return self._catalog.kept_bytes(cursor)

    def close(self) -> None:
        """Close connections."""
        if self._link is not None:
            self._link.close()

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:
        """Give a schema of its own, which the account must be allowed to create."""
        from loopline.resources.postgres.delivery import schema

        with schema(self.url, name):
            place = self.with_settings(in_schema=name)
            try:
                yield place
            finally:
                place.close()

    @property
    def _connected(self) -> Link:
        if self._link is None:
            self._link = Link(self.url, self.statement_seconds, self.lock_seconds)
        return self._link

    @property
    def _catalog(self) -> Catalog:
        return Catalog(self.in_schema)

    def _find(self, cursor: Any, table: TableName) -> Held | None:
        return self._catalog.find(cursor, table) if self._catalog.is_there(cursor) else None

    def _locked(self, cursor: Any, table: TableName) -> Held:
        if self._find(cursor, table) is None:
            raise NotFound(f"table {table!r} was never written", "write it first")
        return self._catalog.locked(cursor, table)


@dataclass(frozen=True)
class _Append:
    """What is appended to a table."""

    table: TableName
    rows: pa.Table
    transactions: Mapping[str, int]
    after: Mapping[str, int] | None

    def refuse_odd(self) -> None:
        """Refuse columns that PostgreSQL does not keep.

        Raises:
            ContractBroken: there is one.
        """
        for field in self.rows.schema:
            kept_types.type_of(self.table, field.name, field.type)

    def content(self, version: int) -> io.BytesIO:
        """Write the rows as they are copied in."""
        return kept_types.copied_in(self.rows, version)

    def is_done(self, known: Mapping[str, int]) -> bool:
        """Say whether all transactions are committed already.

        Raises:
            CommitConflict: some are, or the writer is stale.
        """
        if self.after is not None and any(known.get(app) != self.after.get(app) for app in self.transactions):
            problem = f"{self.table}: the writer builds on {dict(self.after)}"
            raise CommitConflict(problem, "begin from what is committed")
        done = [app for app, version in self.transactions.items() if known.get(app, -1) >= version]
        if done and len(done) < len(self.transactions):
            raise CommitConflict(f"{self.table}: {done[0]!r} is committed already", "append only what is not")
        return bool(done)

    def joined(self, held: Held) -> pa.Schema:
        """Return the table's columns with those that are new.

        Raises:
            ContractBroken: one is of another type.
        """
        import pyarrow as pa

        known = {field.name: field.type for field in held.schema}
        for field in self.rows.schema:
            if (was := known.get(field.name, field.type)) != field.type:
                raise ContractBroken(
                    f"{self.table}: column {field.name!r} is {was} in the table and {field.type} in the rows",
                    "cast the column, or write a table of a new name",
                )
        return pa.schema([*held.schema, *(field for field in self.rows.schema if field.name not in known)])


def _canonical(rows: pa.Table) -> pa.Table:
    from loopline.resources.delta.types import canonical

    return canonical(rows)


def _chosen(held: Held, schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    if missing := [name for name in columns if name not in schema.names]:
        raise ContractBroken(f"{held.name} has no column {missing[0]!r}", f"name some of {', '.join(schema.names)}")
    return pa.schema([schema.field(name) for name in columns])


def _conditions(
    schema: pa.Schema, since: date | None, until: date | None, among: Mapping[str, pa.Array]
) -> tuple[list[str], list[Any]]:
    """Write bounds of days, and the values that a column may have."""
    bounds: list[tuple[str, Any]] = []
    if since is not None:
        bounds.append((f"{quoted(DATE)} >= %s", since))
    if until is not None:
        bounds.append((f"{quoted(DATE)} <= %s", until))
    for column, values in among.items():
        kind = schema.field(column).type
        is_any = f"{quoted(column)} = ANY(%s::{kept_types.type_of('', column, kind)}[])"
        bounds.append((is_any, [*map(_sent, values.cast(kind).drop_null().to_pylist())]))
    return [condition for condition, _ in bounds], [value for _, value in bounds]


def _sent(value: Any) -> Any:
    return kept_types.marked(value) if isinstance(value, str) else value
