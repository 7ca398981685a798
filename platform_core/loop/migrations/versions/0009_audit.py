"""The audit's record, whose rows the database itself refuses to change or delete."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = {
    "audit_entries": "audit_id = NEW.audit_id",
    "audit_checkpoints": "tenant = NEW.tenant AND (size = NEW.size OR since = NEW.since)",
}
"""How a row is known: on SQLite, INSERT OR REPLACE deletes without asking a trigger for deletes."""
_SAID = "the audit is only appended to"


def upgrade() -> None:
    """Make the tables; what was written before is not in them."""
    op.create_table(
        "audit_entries",
        sa.Column("audit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("entry_id", sa.BigInteger),
        sa.Column("recorded_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("audit_entries_by_tenant", "audit_entries", ["tenant", "audit_id"])
    op.create_index("audit_entries_by_entry", "audit_entries", ["entry_id"])
    op.create_table(
        "audit_checkpoints",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("top", sa.BigInteger, nullable=False),
        sa.Column("members", sa.LargeBinary, nullable=False),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("tenant", "since", name="audit_checkpoints_on_top"),
    )
    _only_appended()


def _only_appended() -> None:
    if op.get_bind().dialect.name != "postgresql":
        for table, same in TABLES.items():
            for verb in ("update", "delete"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT raise(ABORT, '{_SAID}'); END"
                )
            op.execute(
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - names of ours
                f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
                f"BEGIN SELECT raise(ABORT, '{_SAID}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_only_appended() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SAID}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in TABLES:
        for when, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER {table}_no_{each.lower()} BEFORE {when} ON {table} "
                f"FOR EACH {each} EXECUTE FUNCTION audit_only_appended()"
            )
