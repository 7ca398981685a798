"""How bad an alarm is, the worst that it was told with, and how far each notifier has told of that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; an alarm that stands is taken as it is for the worst so far."""
    op.add_column("alarms", sa.Column("size", sa.Float))
    op.add_column("alarms", sa.Column("level", sa.Integer, nullable=False, server_default="0"))
    op.add_column("alarms", sa.Column("parts", sa.Text, nullable=False, server_default=""))
    op.add_column("alarms", sa.Column("worst", sa.Text, nullable=False, server_default=""))
    op.add_column("alarm_deliveries", sa.Column("level", sa.Integer, nullable=False, server_default="0"))
    op.add_column("alarm_deliveries", sa.Column("severity", sa.String(16), nullable=False, server_default=""))
