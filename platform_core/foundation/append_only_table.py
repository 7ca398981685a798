"""Append-only tables: database triggers that refuse updates and deletes, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import DDL, Table, event


def append_only(table: Table, message: str, same: str, *, released: Mapping[str, str] | None = None) -> None:
    """Give a table, when it is made, the triggers that refuse changes with ``message``.

    Args:
        table: Whose rows stay.
        message: The error's text.
        same: An SQL condition that finds the row that ``NEW`` would replace: on SQLite, INSERT OR REPLACE deletes
            without asking a trigger for deletes.
        released: What lets a row be deleted all the same. ``sqlite``: a condition on ``OLD``. ``postgresql``: PL/pgSQL
            that returns ``OLD``; its search path is its own, so that no other table is meant.
    """
    name, released = table.name, released or {}
    refuse = f"BEGIN SELECT raise(ABORT, '{message}'); END"
    unless = f" WHEN NOT ({released['sqlite']})" if "sqlite" in released else ""
    on_sqlite = (
        f"CREATE TRIGGER {name}_no_update BEFORE UPDATE ON {name} {refuse}",
        f"CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name}{unless} {refuse}",
        (
            f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} "  # noqa: S608 - names of ours
            f"WHEN EXISTS (SELECT 1 FROM {name} WHERE {same}) {refuse}"
        ),
    )
    on_postgresql = (
        (
            f"CREATE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS "
            f"$$ DECLARE named boolean; BEGIN {released.get('postgresql', '')} "
            f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        ),
        (
            f"CREATE TRIGGER {name}_no_change BEFORE UPDATE OR DELETE ON {name} "
            f"FOR EACH ROW EXECUTE FUNCTION {name}_refuse()"
        ),
        (
            f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}_refuse()"
        ),
    )
    for dialect, statements in (("sqlite", on_sqlite), ("postgresql", on_postgresql)):
        for statement in statements:
            made = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made)
