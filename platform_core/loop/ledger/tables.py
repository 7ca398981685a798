"""Tables of the ledger's database, in SQLAlchemy Core.

``entries`` is append-only and remembers everything; ``cycles``, ``deployments``, ``rollouts``, ``quality_windows`` and
the feature registry's ``feature_views``, ``feature_sources`` and ``feature_readers`` hold what is true now.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.append_only_table import append_only
from loopline.platform_core.redaction import redacted


class UtcTime(TypeDecorator[datetime]):
    """An instant with UTC attached: ``timestamptz`` where the database has it, else ISO text that sorts."""

    impl = String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[str]:
        """Choose the column's type."""
        return DateTime(timezone=True) if dialect.name == "postgresql" else String(32)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """Write an instant; one without a zone could mean anything, so it is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ContractBroken(f"time {value} has no zone", "attach one: datetime(..., tzinfo=UTC)")
        instant = value.astimezone(UTC)
        return instant if dialect.name == "postgresql" else instant.isoformat(timespec="microseconds")

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read an instant in UTC."""
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


class Prose(TypeDecorator[str]):
    """What people are told: no secret is written there."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write words."""
        return value and redacted(value)


Identity = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts by itself only in a column called INTEGER."""


Document = JSON(none_as_null=True)
"""A JSON value, kept as text also on PostgreSQL: ``jsonb`` would lose the order of its keys."""

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column("entry_id", Identity, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("team", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("cycle", String(256), nullable=False),
    Column("version", String(64), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("reason", Prose, nullable=False),
    Column("details", Document, nullable=False),
    Column("unique_key", String(512), unique=True),
    Index("entries_by_model", "team", "model", "kind", "entry_id"),
    Index("entries_of_model", "team", "model", "entry_id"),
    Index("entries_by_kind", "kind", "entry_id"),
    Index("entries_by_version", "kind", "team", "model", "version", "entry_id"),
    Index("entries_by_time", "at"),
)
append_only(entries, "the ledger is append-only", "entry_id = NEW.entry_id OR unique_key = NEW.unique_key")

cycles = Table(
    "cycles",
    metadata,
    Column("cycle_id", String(256), primary_key=True),
    Column("key", String(512), nullable=False),
    Column("team", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("cause", Prose, nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("verdict", Prose, nullable=False),
    Column("drill", Document),
    Column("entry_id", BigInteger, nullable=False),  # of its opening: the order of cycles, also within one instant
    UniqueConstraint("team", "model", "key", name="cycles_once"),
    Index("cycles_by_model", "team", "model", "opened_at"),
    # the database itself holds "one open cycle a model", whatever process asks
    Index(
        "cycles_one_open",
        "team",
        "model",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

deployments = Table(
    "deployments",
    metadata,
    Column("team", String(128), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("applied", Integer, nullable=False),
    Column("stable", Document),
    Column("candidate", Document),
    Column("shadow", Document),
    Column("percent", Integer, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("rollout_id", String(256), primary_key=True),
    Column("team", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("cycle", String(256), nullable=False),
    Column("version", String(64), nullable=False),
    Column("package", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("step_started_at", UtcTime, nullable=False),
    Column("first_cursor", Text),
    Column("cursor", Text),
    Column("state", String(16), nullable=False),
    Index("rollouts_by_model", "team", "model", "started_at"),
    Index(
        "rollouts_one_running",
        "team",
        "model",
        unique=True,
        sqlite_where=text("state IN ('running', 'held')"),
        postgresql_where=text("state IN ('running', 'held')"),
    ),
)

feature_views = Table(
    "feature_views",
    metadata,
    Column("team", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("entity", String(128), nullable=False),
    Column("source", String(128), nullable=False),
    Column("owner", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("meaning", String(64), nullable=False),
    Column("definition", Document, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
    Column("registered_by", String(256), nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

feature_sources = Table(
    "feature_sources",
    metadata,
    Column("team", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("contract", Text, nullable=False),
    Column("contract_version", Text, nullable=False),
    Column("arrives", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

feature_readers = Table(
    "feature_readers",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("team", String(128), primary_key=True),
    Column("view", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("contact", String(256), nullable=False),
    Column("since", UtcTime, nullable=False),
    Index("feature_readers_by_view", "team", "view", "version"),
)

quality_windows = Table(
    "quality_windows",
    metadata,
    Column("team", String(128), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("until", UtcTime, nullable=False),
    Column("measured_at", UtcTime, nullable=False),
    Column("spec", String(64), nullable=False),
    Column("measured", Text, nullable=False),  # both as msgspec writes them: a page reads two years of them at once
    Column("fairness", Text, nullable=False),
)

alarms = Table(
    "alarms",
    metadata,
    Column("cause", String(512), primary_key=True),
    Column("severity", String(16), nullable=False),
    Column("team", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("problem", Prose, nullable=False),
    Column("fix", Prose, nullable=False),
    Column("link", Text, nullable=False),
    Column("acknowledged", Prose, nullable=False),
    Column("size", Float),
    Column("parts", Text, nullable=False),  # as JSON, "" for none
    Column("level", Integer, nullable=False),
    Column("worst", Prose, nullable=False),  # as ``alarms.escalation`` writes it
    Column("standing", Boolean, nullable=False),
    Column("episode", BigInteger, nullable=False),  # the entry of its raising
    Column("raised_at", UtcTime, nullable=False),  # people are told by the wall's time
    Column("over_at", UtcTime),
)

alarm_deliveries = Table(
    "alarm_deliveries",
    metadata,
    Column("notifier", String(128), primary_key=True),
    Column("cause", String(512), primary_key=True),
    Column("told", String(16), nullable=False),
    Column("episode", BigInteger, nullable=False),
    Column("told_at", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime),
    Column("problem", Prose, nullable=False),
    Column("level", Integer, nullable=False),
    Column("severity", String(16), nullable=False),
)

watchdog_looks = Table(
    "watchdog_looks",
    metadata,
    Column("look", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),  # by the database's clock
    Column("found", Text, nullable=False),  # as JSON, "" for nothing
)

site_looks = Table(
    "site_looks",
    metadata,
    Column("team", String(128), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("site", String(128), nullable=False),
    Column("seen_at", UtcTime, nullable=False),  # the wall's time
    Column("waiting", BigInteger, nullable=False),
    Column("until", UtcTime),  # the newest event in the site's lake
)
