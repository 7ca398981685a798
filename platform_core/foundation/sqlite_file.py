"""SQLite settings of all database files: write-ahead logging."""

from __future__ import annotations

import sqlite3
import time

PAUSE_SECONDS = 0.01


def write_ahead(connection: sqlite3.Connection, wait_seconds: float) -> None:
    """Let readers and a writer of the file work side by side; the file remembers it.

    Two that open a new file at once may meet, and SQLite then refuses at once, whatever the connection's own timeout:
    waiting is done here. Raises ``sqlite3.OperationalError`` when the file stays locked for ``wait_seconds``.
    """
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= give_up:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
