"""Catalog of a lake on PostgreSQL: tables, versions and transactions.

Rows of version ``v`` are those with ``_added <= v AND (_gone IS NULL OR _gone > v)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.resources.postgres.kept_types import ADDED, GONE, LONGEST_NAME, read_as, type_of
from loopline.resources.tables.session import quoted

if TYPE_CHECKING:
    import pyarrow as pa

_MADE_UNDER = 0x6C6F6F70
"""The advisory lock under which the three tables are made."""


@dataclass(frozen=True)
class Held:
    """A table as a transaction finds it: ``newest`` is -1 where it has no version yet."""

    table_id: int
    name: str
    relation: str
    identity: str
    newest: int
    schema: pa.Schema

    def columns_of(self, width: int) -> pa.Schema:
        """Return the columns of a version, which are the first so many."""
        import pyarrow as pa

        return pa.schema([*self.schema][:width])


class Catalog:
    """The three tables in a schema; each call is given a cursor of the transaction in which it happens."""

    def __init__(self, space: str) -> None:
        self.space = quoted(space)

    def relation(self, name: str) -> str:
        """Name a table of rows, or one of the three, in this schema."""
        return f"{self.space}.{quoted(name)}"

    def is_there(self, cursor: Any) -> bool:
        """Say whether anything was ever written."""
        cursor.execute("SELECT to_regclass(%s)", (self.relation("_tables"),))
        return cursor.fetchone()[0] is not None

    def kept_bytes(self, cursor: Any) -> int:
        """Return what the schema's tables take on disk."""
        cursor.execute(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
            "WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind IN ('r', 'p')",
            (self.space,),
        )
        return int(cursor.fetchone()[0])

    def make(self, cursor: Any) -> None:
        """Make the schema and the three tables, unless they are there; one process does."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_MADE_UNDER,))
        cursor.execute(f"""
            CREATE SCHEMA IF NOT EXISTS {self.space};
            CREATE TABLE IF NOT EXISTS {self.relation("_tables")} (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
                relation text NOT NULL DEFAULT '', identity uuid NOT NULL DEFAULT gen_random_uuid(),
                newest bigint NOT NULL DEFAULT -1, columns bytea NOT NULL DEFAULT '');
            CREATE TABLE IF NOT EXISTS {self.relation("_versions")} (
                table_id bigint, version bigint, width integer NOT NULL,
                committed_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (table_id, version));
            CREATE TABLE IF NOT EXISTS {self.relation("_transactions")} (
                table_id bigint, application text, number bigint NOT NULL, version bigint NOT NULL,
                PRIMARY KEY (table_id, application));
        """)

    def find(self, cursor: Any, name: str) -> Held | None:
        """Look a table up, None where it was never written."""
        return self._found(cursor, name, "")

    def locked(self, cursor: Any, name: str) -> Held:
        """Look a table up, to write to it; others that write to it wait until this transaction ends."""
        cursor.execute(
            f"INSERT INTO {self.relation('_tables')} (name) VALUES (%s) ON CONFLICT DO NOTHING",  # noqa: S608 - quoted
            (name,),
        )
        found = self._found(cursor, name, "FOR UPDATE")
        assert found is not None
        return found

    def width(self, cursor: Any, held: Held | None, name: str, version: int | None) -> tuple[int, int]:
        """Return a version that is kept, the newest when None, and how many columns it has.

        Raises:
            NotFound: there is none.
        """
        newest = None if held is None else held.newest
        wanted = newest if version is None else version
        if held is not None:
            cursor.execute(
                f"SELECT width FROM {self.relation('_versions')} WHERE table_id = %s AND version = %s",  # noqa: S608
                (held.table_id, wanted),
            )
            if (found := cursor.fetchone()) is not None and wanted is not None:
                return wanted, found[0]
        raise NotFound(f"table {name!r} has no version {version}", f"its newest is {newest}")

    def committed(self, cursor: Any, held: Held, applications: Sequence[str] | None, since: int = -1) -> dict[str, int]:
        """Read the newest transaction of each application, of those only that came after a version."""
        cursor.execute(
            f"SELECT application, number FROM {self.relation('_transactions')} "  # noqa: S608 - quoted
            "WHERE table_id = %s AND version > %s AND (%s::text[] IS NULL OR application = ANY(%s))",
            (held.table_id, since, *[None if applications is None else [*applications]] * 2),
        )
        return dict(cursor.fetchall())

    def widen(self, cursor: Any, held: Held, schema: pa.Schema) -> None:
        """Make the table of the rows, or give it the columns that are new."""
        new = [field for field in schema if field.name not in held.schema.names]
        columns = [f"{quoted(field.name)} {type_of(held.name, field.name, field.type)}" for field in new]
        relation = self.relation(held.relation)
        if held.newest < 0:
            kept = ", ".join([*columns, f"{ADDED} bigint NOT NULL", f"{GONE} bigint"])
            cursor.execute(f"CREATE TABLE {relation} ({kept})")
            cursor.execute(f"CREATE INDEX ON {relation} USING brin ({ADDED})")
            words = f"{held.name}, by Loopline: rows of version v have {ADDED} <= v and {GONE} null or > v"
            cursor.execute(f"COMMENT ON TABLE {relation} IS %s", (words,))
            if "_date" in schema.names:
                cursor.execute(f"CREATE INDEX ON {relation} USING brin (_date)")
        elif columns:
            cursor.execute(f"ALTER TABLE {relation} " + ", ".join(f"ADD COLUMN {column}" for column in columns))

    def advance(self, cursor: Any, held: Held, schema: pa.Schema, transactions: Mapping[str, int]) -> int:
        """Make the next version, with its transactions; the rows have it already."""
        version = held.newest + 1
        cursor.execute(
            f"UPDATE {self.relation('_tables')} SET newest = %s, relation = %s, columns = %s WHERE id = %s",  # noqa: S608
            (version, held.relation, schema.serialize().to_pybytes(), held.table_id),
        )
        cursor.execute(
            f"INSERT INTO {self.relation('_versions')} (table_id, version, width) VALUES (%s, %s, %s)",  # noqa: S608
            (held.table_id, version, len(schema)),
        )
        cursor.execute(
            f"INSERT INTO {self.relation('_transactions')} "  # noqa: S608 - quoted
            "SELECT %s, application, number, %s FROM unnest(%s::text[], %s::bigint[]) AS t (application, number) "
            "ON CONFLICT (table_id, application) DO UPDATE SET number = excluded.number, version = excluded.version",
            (held.table_id, version, [*transactions], [*transactions.values()]),
        )
        return version

    def select(self, held: Held, schema: pa.Schema, conditions: Sequence[str]) -> str:
        """Write what is copied out."""
        columns = ", ".join(read_as(field.name, field.type) for field in schema)
        where = " AND ".join(conditions)
        return f"SELECT {columns} FROM {self.relation(held.relation)} WHERE {where}"  # noqa: S608 - quoted

    def _found(self, cursor: Any, name: str, lock: str) -> Held | None:
        import pyarrow as pa

        cursor.execute(
            f"SELECT id, relation, identity::text, newest, columns FROM {self.relation('_tables')} "  # noqa: S608
            f"WHERE name = %s {lock}",
            (name,),
        )
        found = cursor.fetchone()
        if found is None:
            return None
        table_id, relation, identity, newest, columns = found
        schema = pa.ipc.read_schema(pa.py_buffer(bytes(columns))) if columns else pa.schema([])
        return Held(table_id, name, relation or _relation(name, table_id), identity, newest, schema)


def visible(version: int, newer_than: int | None = None) -> list[str]:
    """Write which rows a version has, of those only that came after another one."""
    newer = [] if newer_than is None else [f"{ADDED} > {int(newer_than)}"]
    return [f"{ADDED} <= {int(version)}", f"({GONE} IS NULL OR {GONE} > {int(version)})", *newer]


def _relation(name: str, table_id: int) -> str:
    """Call the table of the rows as the lake does, where PostgreSQL takes such a name."""
    if len(name.encode()) <= LONGEST_NAME and not name.startswith("_"):
        return name
    return f"{name.encode()[:40].decode(errors='ignore')}~{table_id}"
