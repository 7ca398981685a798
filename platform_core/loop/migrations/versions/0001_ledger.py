"""The ledger: entries, cycles, deployments, rollouts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and let the database itself refuse to change what was recorded."""
    _entries()
    _cycles()
    _deployments()
    _rollouts()
    statements = _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE
    for statement in statements:
        op.execute(statement)


def _time() -> sa.types.TypeEngine[Any]:
    return sa.DateTime(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.String(32)


def _text(name: str, size: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), nullable=False)


def _entries() -> None:
    op.create_table(
        "entries",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        _text("kind", 64),
        sa.Column("at", _time(), nullable=False),
        sa.Column("recorded_at", _time(), nullable=False),
        _text("team", 128),
        _text("model", 128),
        _text("cycle", 256),
        _text("version", 64),
        _text("actor", 256),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("unique_key", sa.String(512), unique=True),
    )
    op.create_index("entries_by_model", "entries", ["team", "model", "kind", "entry_id"])
    op.create_index("entries_by_kind", "entries", ["kind", "entry_id"])
    op.create_index("entries_by_time", "entries", ["at"])


def _cycles() -> None:
    op.create_table(
        "cycles",
        sa.Column("cycle_id", sa.String(256), primary_key=True),
        _text("key", 512),
        _text("team", 128),
        _text("model", 128),
        sa.Column("cause", sa.Text, nullable=False),
        _text("state", 16),
        sa.Column("opened_at", _time(), nullable=False),
        sa.Column("closed_at", _time()),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("drill", sa.JSON),
        sa.Column("entry_id", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("team", "model", "key", name="cycles_once"),
    )
    op.create_index("cycles_by_model", "cycles", ["team", "model", "opened_at"])
    _unique_while("cycles_one_open", "cycles", "state = 'open'")


def _deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("team", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("applied", sa.Integer, nullable=False),
        sa.Column("stable", sa.JSON),
        sa.Column("candidate", sa.JSON),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("changed_at", _time(), nullable=False),
    )


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("rollout_id", sa.String(256), primary_key=True),
        _text("team", 128),
        _text("model", 128),
        _text("cycle", 256),
        _text("version", 64),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("step_started_at", _time(), nullable=False),
        sa.Column("first_cursor", sa.Text),
        sa.Column("cursor", sa.Text),
        _text("state", 16),
    )
    op.create_index("rollouts_by_model", "rollouts", ["team", "model", "started_at"])
    _unique_while("rollouts_one_running", "rollouts", "state IN ('running', 'held')")


def _unique_while(name: str, table: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, ["team", "model"], unique=True, sqlite_where=where, postgresql_where=where)


_SQLITE = (
    """CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    # INSERT OR REPLACE deletes without asking the trigger above
    """CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN EXISTS (SELECT 1 FROM entries WHERE entry_id = NEW.entry_id OR unique_key = NEW.unique_key)
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION entries_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER entries_no_change BEFORE UPDATE OR DELETE ON entries
        FOR EACH ROW EXECUTE FUNCTION entries_refuse_change()""",
    """CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries
        FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse_change()""",
)
