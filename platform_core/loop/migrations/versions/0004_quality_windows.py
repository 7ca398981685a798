"""How good each version was, window by window: what is known now, so that a page need not measure again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a row is replaced while labels come."""
    op.create_table(
        "quality_windows",
        _text("team", 128),
        _text("model", 128),
        _text("version", 64),
        _time("since", key=True),
        _time("until"),
        _time("measured_at"),
        sa.Column("spec", sa.String(64), nullable=False),
        sa.Column("measured", sa.Text, nullable=False),
        sa.Column("fairness", sa.Text, nullable=False),
    )


def _text(name: str, size: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), primary_key=True, nullable=False)


def _time(name: str, *, key: bool = False) -> sa.Column[Any]:
    kind = sa.DateTime(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.String(32)
    return sa.Column(name, kind, primary_key=key, nullable=False)
