"""PostgreSQL role for the platform that can only append to the history tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from loopline.platform_core.audit.tables import audit_checkpoints, audit_entries, audit_removed
from loopline.platform_core.errors import NotFound, Unsupported
from loopline.platform_core.identity import tables as identity
from loopline.platform_core.loop.ledger import migrations, tables

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

APPENDED = (tables.entries.name, audit_entries.name, audit_checkpoints.name)


def statements(ledger: Ledger, role: str, *, keeper: bool = False) -> list[str]:
    """Return what grants a role its rights, in the schema in which the ledger lies.

    A ``keeper`` may also let go of entries of the record that are past their time; triggers hold it to that.

    Raises:
        Unsupported: the ledger is on SQLite, where whoever has the file has it whole.
    """
    if ledger.engine.dialect.name != "postgresql":
        raise Unsupported(
            "SQLite has no roles: whoever may write the file may write all of it",
            "keep the ledger on PostgreSQL; anchors find a rewritten record in either",
        )
    quoted = ledger.engine.dialect.identifier_preparer.quote
    with ledger.reading() as connection:
        schema = quoted(str(connection.scalar(text("SELECT current_schema()"))))
    who, appended = quoted(role), ", ".join(f"{schema}.{name}" for name in APPENDED)
    changing = [*tables.metadata.tables, *identity.metadata.tables]
    state = ", ".join(f"{schema}.{name}" for name in changing if name not in APPENDED)
    removed, entries = f"{schema}.{audit_removed.name}", f"{schema}.{audit_entries.name}"
    keeping = [f"GRANT INSERT ON {removed} TO {who}", f"GRANT DELETE ON {entries} TO {who}"]
    return [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {who}",
        f"GRANT USAGE ON SCHEMA {schema} TO {who}",
        f"GRANT SELECT ON {schema}.{migrations.version_table.name} TO {who}",
        f"GRANT SELECT, INSERT ON {appended} TO {who}",
        f"GRANT SELECT ON {removed} TO {who}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {state} TO {who}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {who}",
        *(keeping if keeper else []),
    ]


def grant(ledger: Ledger, role: str, *, keeper: bool = False) -> None:
    """Grant it, as the database's owner.

    Raises:
        NotFound: there is no such role. Unsupported: the ledger is on SQLite.
    """
    wanted = statements(ledger, role, keeper=keeper)
    with ledger.writing() as connection:
        _there(connection, role)
        for statement in wanted:
            connection.execute(text(statement))


def _there(connection: Connection, role: str) -> None:
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}):
        raise NotFound(f"PostgreSQL has no role {role!r}", f'let its owner make it: CREATE ROLE "{role}" LOGIN')
