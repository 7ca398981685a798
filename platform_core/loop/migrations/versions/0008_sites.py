"""When each site was last heard of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from loopline.platform_core.loop.tables import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; where there are no sites it stays empty."""
    op.create_table(
        "site_looks",
        sa.Column("team", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("site", sa.String(128), nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("until", UtcTime),
    )
