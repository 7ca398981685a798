"""Rows of Redshift as arrivals, as far as PostgreSQL can stand for it: there is no emulator of Redshift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest

from loopline.platform_core.testing.event_source import EventSourceKit
from loopline.resources.postgres.delivery import PostgresDelivery
from loopline.resources.redshift.event_source import RedshiftEventSource

TABLES = {"kit/*": {"table": "{source}", "watermark": "_at", "without": ["_at"], "page_seconds": 60}}


class TestRedshiftEventSource(EventSourceKit):
    """Every promise, by the statements that Redshift is sent."""

    tested_on = "emulator: PostgreSQL in its place"

    @pytest.fixture
    def database(self, new_database: Callable[[], str]) -> str:
        """Give a place with the clock that PostgreSQL does not have."""
        url = new_database()
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT localtimestamp'")
        connection.close()
        return url

    @pytest.fixture
    def events(self, database: str, tmp_path: Path) -> RedshiftEventSource:
        """Give a source whose tables are called as the sources are."""
        given = {"url": database, "landing": str(tmp_path), "tables": TABLES, "look_seconds": 0}
        return RedshiftEventSource.model_validate(given)

    @pytest.fixture
    def deliver(self, database: str) -> PostgresDelivery:
        """Insert there."""
        return PostgresDelivery(database)
