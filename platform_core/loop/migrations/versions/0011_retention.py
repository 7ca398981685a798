"""What retention lets go of the audit's record, named here and half a year old; and who left at the provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ON_SQLITE = (
    (
        "CREATE TRIGGER audit_removed_no_update BEFORE UPDATE ON audit_removed "
        "BEGIN SELECT raise(ABORT, 'the audit is only appended to'); END"
    ),
    (
        "CREATE TRIGGER audit_removed_no_delete BEFORE DELETE ON audit_removed "
        "BEGIN SELECT raise(ABORT, 'the audit is only appended to'); END"
    ),
    (
        "CREATE TRIGGER audit_removed_no_replace BEFORE INSERT ON audit_removed "
        "WHEN EXISTS (SELECT 1 FROM audit_removed WHERE audit_id = NEW.audit_id) "
        "BEGIN SELECT raise(ABORT, 'the audit is only appended to'); END"
    ),
    "DROP TRIGGER audit_entries_no_delete",
    (
        "CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries WHEN NOT ("
        "OLD.recorded_us < (CAST(strftime('%s', 'now') AS INTEGER) - 183 * 86400) * 1000000 AND EXISTS ("
        "SELECT 1 FROM audit_removed WHERE audit_id = OLD.audit_id AND tenant = OLD.tenant)) "
        "BEGIN SELECT raise(ABORT, 'the audit is only appended to'); END"
    ),
)
_ON_POSTGRESQL = (
    (
        "CREATE FUNCTION audit_only_let_go() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$ "
        "DECLARE named boolean; BEGIN "
        "IF TG_OP = 'DELETE' AND OLD.recorded_us < "
        "(extract(epoch FROM clock_timestamp())::bigint - 183 * 86400) * 1000000 THEN "
        "EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.audit_removed WHERE audit_id = $1 AND tenant = $2)', "
        "TG_TABLE_SCHEMA) INTO named USING OLD.audit_id, OLD.tenant; "
        "IF named THEN RETURN OLD; END IF; END IF; "
        "RAISE EXCEPTION 'the audit is only appended to' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    ),
    "DROP TRIGGER audit_entries_no_row ON audit_entries",
    (
        "CREATE TRIGGER audit_entries_no_row BEFORE UPDATE OR DELETE ON audit_entries "
        "FOR EACH ROW EXECUTE FUNCTION audit_only_let_go()"
    ),
    (
        "CREATE TRIGGER audit_removed_no_row BEFORE UPDATE OR DELETE ON audit_removed "
        "FOR EACH ROW EXECUTE FUNCTION audit_only_appended()"
    ),
    (
        "CREATE TRIGGER audit_removed_no_statement BEFORE TRUNCATE ON audit_removed "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_appended()"
    ),
)
"""A trigger decides by the row, whoever asks; its search path is its own, so that no other table is meant."""


def upgrade() -> None:
    """Make the tables; nothing is let go yet."""
    op.create_table(
        "audit_removed",
        sa.Column("removal", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("audit_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("entry_id", sa.BigInteger),
        sa.Column("what", sa.String(256), nullable=False),
        sa.UniqueConstraint("audit_id", name="audit_removed_once"),
    )
    op.create_index("audit_removed_by_entry", "audit_removed", ["entry_id"])
    op.create_table(
        "sign_in_logouts",
        sa.Column("once", sa.String(64), primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_in_logouts_by_time", "sign_in_logouts", ["at_us"])
    for statement in _ON_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _ON_SQLITE:
        op.execute(statement)
