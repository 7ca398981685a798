"""Who is signed in, who is about to be, and who tried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; nobody is signed in."""
    op.create_table(
        "sign_in_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("service", sa.Boolean, nullable=False),
        sa.Column("member_of", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("idle_us", sa.BigInteger, nullable=False),
        sa.Column("ends_us", sa.BigInteger, nullable=False),
        sa.Column("id_token", sa.Text, nullable=False),
    )
    op.create_index("sign_in_sessions_by_name", "sign_in_sessions", ["issuer", "name"])
    op.create_index("sign_in_sessions_by_end", "sign_in_sessions", ["ends_us"])
    op.create_table(
        "sign_in_started",
        sa.Column("state", sa.String(64), primary_key=True),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("verifier", sa.String(128), nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("began_us", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_in_started_by_time", "sign_in_started", ["began_us"])
    op.create_table(
        "sign_in_attempts",
        sa.Column(
            "attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_in_attempts_by_time", "sign_in_attempts", ["at_us"])
