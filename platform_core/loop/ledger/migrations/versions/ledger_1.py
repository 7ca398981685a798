"""First schema revision: an empty database gets its tables from their definitions (``migrations.upgrade``)."""

revision = "ledger_1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing: what has this revision has the tables."""
