"""Tables of sessions, pending sign-ins and sign-in attempts, in the ledger's database.

They are apart from ``loop.ledger.tables``: nothing of them moves to another environment.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

sessions = Table(
    "sign_in_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of what the browser has
    Column("name", String(256), nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("service", Boolean, nullable=False),
    Column("member_of", JSON(none_as_null=True), nullable=False),
    Column("seen_us", BigInteger, nullable=False),  # the wall's time, as all of these
    Column("idle_us", BigInteger, nullable=False),  # so long after ``seen_us`` it ends
    Column("ends_us", BigInteger, nullable=False),
    Column("id_token", Text, nullable=False),  # by which the provider knows what to end
    Index("sign_in_sessions_by_name", "issuer", "name"),
    Index("sign_in_sessions_by_end", "ends_us"),
)

started = Table(
    "sign_in_started",
    metadata,
    Column("state", String(64), primary_key=True),  # SHA-256 of what goes to the provider and back
    Column("browser", String(64), nullable=False),  # SHA-256 of the cookie of the browser that began
    Column("nonce", String(64), nullable=False),
    Column("verifier", String(128), nullable=False),
    Column("destination", Text, nullable=False),
    Column("began_us", BigInteger, nullable=False),
    Index("sign_in_started_by_time", "began_us"),
)

attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("attempt_id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),  # SHA-256: people type passwords into the wrong field
    Column("address", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("sign_in_attempts_by_time", "at_us"),
)

logouts = Table(
    "sign_in_logouts",
    metadata,
    Column("once", String(64), primary_key=True),  # SHA-256 of what tells a provider's words apart
    Column("at_us", BigInteger, nullable=False),
    Index("sign_in_logouts_by_time", "at_us"),
)
