"""Test delivery into Snowflake: a temporary schema, and inserts into its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from loopline.resources.snowflake.account import Account
from loopline.resources.snowflake.session import telling
from loopline.resources.tables.delivery import TableDelivery
from loopline.resources.tables.session import quoted


class SnowflakeDelivery(TableDelivery):
    """Inserts into tables of a schema; Snowflake commits by itself when it creates one."""

    text, instant, value = "VARCHAR", "TIMESTAMP_TZ", "?"

    def __init__(self, account: Account, schema: str) -> None:
        super().__init__(lambda: account.connected(autocommit=False), f"{quoted(schema)}.")


@contextmanager
def schema(account: Account, name: str) -> Iterator[None]:
    """Create a schema, whatever is in one of its name, and drop it with all that is in it."""
    _run(account, f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}")
    try:
        yield
    finally:
        _run(account, f"DROP SCHEMA IF EXISTS {quoted(name)} CASCADE")


def _run(account: Account, statement: str) -> None:
    with telling(account), closing(account.connected()) as connected:
        connected.cursor().execute(statement)
