"""Test delivery into a table, for the event source kit."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from loopline.platform_core.testing.event_source import Delivery


class TableDelivery(Delivery):
    """Inserts by a connection of Python's database interface, made when it is first needed.

    ``unfinished`` is a transaction that is not committed. ``schema`` is where the tables are, quoted and with a dot.
    """

    replaces = False
    is_ragged = False
    is_bare = False
    lines = (1, 2, 3, 4, 5)
    unreadable: ClassVar[Sequence[bytes]] = (b"_line\n1\n",)
    text, instant, value = "text", "timestamptz", "%s"

    def __init__(self, connect: Callable[[], Any], schema: str = "") -> None:
        self._connect, self._schema = connect, schema
        self._connected: Any = None

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:  # noqa: ARG002 - rows have none
        """Insert and commit; what was begun is rolled back."""
        self._connection.rollback()
        self._insert(source, content, arrived_at)
        self._connection.commit()

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Insert and do not commit."""
        self.whole(source, name, content.splitlines()[0], datetime.now(UTC))
        self._insert(source, content, datetime.now(UTC))

    def holds(self, source: str, name: str) -> bool:  # noqa: ARG002 - as above
        """Look for a row."""
        with self._cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {self._table(source)} LIMIT 1")  # noqa: S608 - the kit's own name
            found = cursor.fetchone() is not None
        self._connection.rollback()
        return found

    def nothing(self, source: str) -> None:
        """Make an empty table."""
        self.whole(source, "", b"id\n", datetime.now(UTC))

    @property
    def _connection(self) -> Any:
        self._connected = self._connected or self._connect()
        return self._connected

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def _table(self, source: str) -> str:
        return f'{self._schema}"{source.partition("/")[2]}"'

    def _insert(self, source: str, content: bytes, at: datetime) -> None:
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        columns = ", ".join(f'"{name}" {self.text}' for name in header)
        with self._cursor() as cursor:
            cursor.execute(
                f'CREATE TABLE IF NOT EXISTS {self._table(source)} ({columns}, "_at" {self.instant} NOT NULL)'
            )
            for row in rows:
                values = [*(value or None for value in row), at]
                marks = ", ".join([self.value] * len(values))
                cursor.execute(f"INSERT INTO {self._table(source)} VALUES ({marks})", values)  # noqa: S608 - as above
