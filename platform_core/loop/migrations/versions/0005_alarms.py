"""Alarms as they stand, and who was told of them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables; their history is kept in ``entries``."""
    op.create_table(
        "alarms",
        _text("cause", 512, key=True),
        _text("severity", 16),
        _text("team", 128),
        _text("model", 128),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("problem", "fix", "link", "acknowledged")),
        sa.Column("standing", sa.Boolean, nullable=False),
        sa.Column("episode", sa.BigInteger, nullable=False),
        _time("raised_at", nullable=False),
        _time("over_at"),
    )
    op.create_table(
        "alarm_deliveries",
        _text("notifier", 128, key=True),
        _text("cause", 512, key=True),
        _text("told", 16),
        sa.Column("episode", sa.BigInteger, nullable=False),
        _time("told_at"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _time("next_at"),
        sa.Column("problem", sa.Text, nullable=False),
    )


def _time(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    kind = sa.DateTime(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.String(32)
    return sa.Column(name, kind, nullable=nullable)


def _text(name: str, size: int, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), primary_key=key, nullable=False)
