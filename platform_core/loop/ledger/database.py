"""Connection to the ledger's database, SQLite or PostgreSQL by URL, migrated to the newest schema."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from loopline.platform_core.errors import InvalidEnvironment, Refused, StoreUnavailable, one_line
from loopline.platform_core.foundation.credentials import keep_within
from loopline.platform_core.foundation.sqlite_file import write_ahead
from loopline.platform_core.loop.ledger import migrations
from loopline.platform_core.redaction import redacted

BUSY_SECONDS = 30
"""How long a writer waits for another before it gives up."""
_SHUT_OUT = "is not permitted to log in"
"""What PostgreSQL says to a role that has a password and no LOGIN."""


def connect(url: str) -> Engine:
    """Make an engine whose database has the newest schema.

    Raises:
        InvalidEnvironment: the URL is wrong, or a newer Loopline wrote the ledger. StoreUnavailable: no answer.
        Refused: the schema is an older one, and this role may not change it; or the role is shut out.
    """
    engine = _engine(_checked(url))
    try:
        if engine.dialect.name == "sqlite":
            _write_ahead(engine)
        migrations.upgrade(engine, writer(engine))
    except (OperationalError, sqlite3.OperationalError) as error:
        engine.dispose()
        cause = getattr(error, "orig", error)
        if _SHUT_OUT in str(error):
            raise Refused(
                f"the ledger at {engine.url.render_as_string()} lets this role in no more: {one_line(cause)}",
                "if a tenant is suspended, who runs the platform resumes it: 'loopline tenant resume'",
            ) from error
        raise StoreUnavailable(
            f"the ledger at {engine.url.render_as_string()} cannot be opened: {cause}",
            "start the database, or correct 'ledger' in the environment file",
        ) from error
    except ProgrammingError as error:
        engine.dispose()
        raise Refused(
            f"this role may not bring the ledger's schema to this release's: {one_line(error.orig)}",
            "let the database's owner run 'loopline audit role <this role>' of this release",
        ) from error
    return engine


def writer(engine: Engine) -> Engine:
    """Return the same engine for transactions that write."""
    return engine.execution_options(writes=True)


def unmoved(engine: Engine) -> Engine:
    """Return the same engine for transactions whose statements all see what the first one saw, as SQLite's do."""
    postgresql = engine.dialect.name == "postgresql"
    return engine.execution_options(isolation_level="REPEATABLE READ") if postgresql else engine


def plain(value: Any) -> Any:
    """Turn details into JSON that every database takes: NaN and infinities become null, numpy numbers Python's.

    No secret stands in it.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | None) else redacted(str(value))


def dumps(value: Any) -> str:
    """Write plain details as the database keeps them."""
    return json.dumps(value, allow_nan=False)


def _checked(url: str) -> URL:
    keep_within(url)
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidEnvironment(
            f"ledger {url!r} is no database URL", "write sqlite:///path or postgresql://…"
        ) from None
    if parsed.get_backend_name() == "postgresql":  # SQLAlchemy 2.1 means another driver by the bare word
        return parsed if "+" in parsed.drivername else parsed.set(drivername="postgresql+psycopg2")
    if parsed.get_backend_name() != "sqlite":
        raise InvalidEnvironment(
            f"ledger {parsed.render_as_string()} is neither SQLite nor PostgreSQL",
            "write sqlite:///path or postgresql://…",
        )
    if not parsed.database or parsed.database == ":memory:":
        raise InvalidEnvironment("ledger in memory would be lost with its process", "name a file: sqlite:///path")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=True, json_serializer=dumps)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, json_serializer=dumps)
    event.listen(engine, "connect", _take_over_transactions)
    event.listen(engine, "begin", _begin)
    return engine


def _take_over_transactions(connection: Any, _record: Any) -> None:
    """Keep Python's driver from starting transactions by itself, in a mode that can lose the race to write."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    """Take the write lock first: a reader that turns writer fails at once instead of waiting."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _write_ahead(engine: Engine) -> None:
    with closing(engine.raw_connection()) as connection:
        write_ahead(cast("sqlite3.Connection", connection.driver_connection), BUSY_SECONDS)
