"""The feature registry: views, sources, and who reads which version of a view."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; their history is kept in ``entries``."""
    _views()
    _sources()
    _readers()


def _time(name: str) -> sa.Column[Any]:
    kind = sa.DateTime(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.String(32)
    return sa.Column(name, kind, nullable=False)


def _text(name: str, size: int, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), primary_key=key, nullable=False)


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _version() -> sa.Column[int]:
    return sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)


def _views() -> None:
    op.create_table(
        "feature_views",
        _text("team", 128, key=True),
        _text("name", 128, key=True),
        _version(),
        _text("state", 16),
        _text("entity", 128),
        _text("source", 128),
        _words("owner"),
        _words("description"),
        _text("meaning", 64),
        sa.Column("definition", sa.JSON, nullable=False),
        _time("registered_at"),
        _text("registered_by", 256),
        _time("changed_at"),
    )


def _sources() -> None:
    op.create_table(
        "feature_sources",
        _text("team", 128, key=True),
        _text("name", 128, key=True),
        _words("contract"),
        _words("contract_version"),
        _words("arrives"),
        _words("description"),
        _time("changed_at"),
    )


def _readers() -> None:
    op.create_table(
        "feature_readers",
        _text("kind", 16, key=True),
        _text("name", 256, key=True),
        _text("team", 128, key=True),
        _text("view", 128, key=True),
        _version(),
        _text("contact", 256),
        _time("since"),
    )
    op.create_index("feature_readers_by_view", "feature_readers", ["team", "view", "version"])
