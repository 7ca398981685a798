"""How content comes to a table, as the kit of event sources wants it: its rows are inserted at one time."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from loopline.platform_core.testing.event_source import Delivery


class TableDelivery(Delivery):
    """Inserts by a connection of the driver's; ``unfinished`` is a transaction that is not committed."""

    replaces = False
    is_ragged = False
    is_bare = False
    lines = (1, 2, 3, 4, 5)
    unreadable: ClassVar[Sequence[bytes]] = (b"_line\n1\n",)

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Insert and commit; what was begun is rolled back."""
        self.connection.rollback()
        self._insert(source, content, arrived_at)
        self.connection.commit()

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Insert and do not commit."""
        self.nothing(source)
        self._insert(source, content, datetime.now().astimezone())

    def holds(self, source: str, name: str) -> bool:
        """Count the rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(f'SELECT count(*) FROM "{source.partition("/")[2]}"')
            return bool(cursor.fetchone()[0])

    def nothing(self, source: str) -> None:
        """Make an empty table."""
        self.whole(source, "", b"id\n", datetime.now().astimezone())

    def _insert(self, source: str, content: bytes, at: datetime) -> None:
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        table, columns = source.partition("/")[2], ", ".join(f'"{name}" text' for name in header)
        with self.connection.cursor() as cursor:
            cursor.execute(f'CREATE TABLE IF NOT EXISTS "{table}" ({columns}, _at timestamptz NOT NULL)')
            for row in rows:
                marks = ", ".join(["%s"] * (len(row) + 1))
                cursor.execute(f'INSERT INTO "{table}" VALUES ({marks})', [*(value or None for value in row), at])
