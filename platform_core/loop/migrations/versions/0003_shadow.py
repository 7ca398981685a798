"""A deployment's shadow: the version through which answered requests are replayed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no deployment of before has a shadow."""
    op.add_column("deployments", sa.Column("shadow", sa.JSON))
