"""Test delivery into PostgreSQL: a temporary schema, and inserts into its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.postgres.failures import refuse_odd, told
from loopline.resources.tables.delivery import TableDelivery
from loopline.resources.tables.session import quoted

if TYPE_CHECKING:
    from psycopg2.extensions import connection

CONNECT_SECONDS, DROP_SECONDS = 10, 60


class PostgresDelivery(TableDelivery):
    """Inserts into tables of a schema, of the connection's own where it is ""."""

    def __init__(self, url: str, schema: str = "") -> None:
        super().__init__(lambda: connected(url), f"{quoted(schema)}." if schema else "")


def connected(url: str) -> connection:
    """Connect.

    Raises:
        InvalidEnvironment: not with this URL. StoreUnavailable: not now.
    """
    try:
        import psycopg2
    except ImportError as error:
        raise InvalidEnvironment("psycopg2 is not installed", "install the extra 'postgres'") from error

    refuse_odd(url)
    try:
        return psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)
    except psycopg2.Error as error:
        raise told(error, url) from error


@contextmanager
def schema(url: str, name: str) -> Iterator[None]:
    """Create a schema, whatever is in one of its name, and drop it with all that is in it."""
    _run(url, f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}")
    try:
        yield
    finally:
        _run(url, f"DROP SCHEMA IF EXISTS {quoted(name)} CASCADE")


def _run(url: str, statement: str) -> None:
    import psycopg2

    opened = connected(url)
    try:
        with opened, opened.cursor() as cursor:
            cursor.execute(f"SET statement_timeout TO {DROP_SECONDS * 1000}")
            cursor.execute(statement)
    except psycopg2.Error as error:
        raise told(error, url) from error
    finally:
        opened.close()
