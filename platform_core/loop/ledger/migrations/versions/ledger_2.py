"""Second schema revision: the table of the watchdog's latest looks, and an index of entries by version."""

from alembic import op
from sqlalchemy import Column, String, Text

from loopline.platform_core.loop.ledger.tables import UtcTime

revision = "ledger_2"
down_revision = "ledger_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both; a ledger of between two releases may have the index."""
    op.create_table(
        "watchdog_looks",
        Column("look", String(64), primary_key=True),
        Column("at", UtcTime, nullable=False),
        Column("found", Text, nullable=False),
    )
    columns = ["kind", "team", "model", "version", "entry_id"]
    op.create_index("entries_by_version", "entries", columns, if_not_exists=True)
