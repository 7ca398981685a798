"""Tables of the tests' own on a real PostgreSQL, and sources that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.postgres.event_source import PostgresEventSource
from tests.emulators.postgresql import Postgresql, postgresql
from tests.resources.postgres.reading import Make, Run

TABLE: dict[str, Any] = {"table": "{source}", "watermark": "at"}


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """Give the URL of an empty place."""
    return new_database()


@pytest.fixture
def make(database: str, tmp_path: Path) -> Make:
    """Make sources of that place, as several processes would; ``table`` changes what is said of every table."""

    def made(**more: Any) -> PostgresEventSource:
        table = TABLE | more.pop("table", {})
        given = {"url": database, "landing": str(tmp_path / "landing"), "tables": {"shop/*": table}, "look_seconds": 0}
        return PostgresEventSource.model_validate(given | more)

    return made


@pytest.fixture
def run(database: str) -> Iterator[Run]:
    """Run statements, each in a transaction of its own."""
    connection = psycopg2.connect(database)
    connection.autocommit = True

    def ran(statement: str, *values: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else None

    yield ran
    connection.close()


@pytest.fixture(scope="package")
def guarded() -> Iterator[Postgresql]:
    """Run a server that asks for a password."""
    with postgresql(free_port()) as server:
        yield server
