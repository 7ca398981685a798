"""Leader election: a lease held by one connection as a PostgreSQL lock, released when the connection ends.

A holder that is killed frees it at once. One whose machine vanishes frees it when the database misses its answers
(``GONE_SECONDS``); long before that the holder itself knows that it has no answer, and must have stopped.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from loopline.platform_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from psycopg2.extensions import connection

ANSWER_SECONDS = 4
"""How long the holder waits for an answer before it takes the lock for lost."""
_IDLE_SECONDS, _EVERY_SECONDS, _PROBES = 5, 2, 4
GONE_SECONDS = _IDLE_SECONDS + _EVERY_SECONDS * _PROBES
"""When the database gives up a connection whose other end is silent; more than the holder waits."""
_SESSION = {
    "statement_timeout": ANSWER_SECONDS * 1000,
    "tcp_keepalives_idle": _IDLE_SECONDS,
    "tcp_keepalives_interval": _EVERY_SECONDS,
    "tcp_keepalives_count": _PROBES,
    "tcp_user_timeout": GONE_SECONDS * 1000,
}
_TAKE = "SELECT pg_try_advisory_lock(%s, hashtext(current_schema() || %s))"
_LOCKS = 7_104_622
"""The first half of the lock's number, which is ours; the second is the lease's, in the place that the URL names."""


class Lease:
    """A lease by name in a database; needs a connection that lasts, so no pooler that hands out transactions."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._connection: connection | None = None

    def take(self) -> bool:
        """Try to take it; says whether it is ours.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        import psycopg2

        try:
            if self._connection is None:
                self._connection = psycopg2.connect(
                    self._url,
                    connect_timeout=ANSWER_SECONDS,
                    tcp_user_timeout=ANSWER_SECONDS * 1000,
                    keepalives_idle=_IDLE_SECONDS,
                )
                self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    for setting, value in _SESSION.items():
                        cursor.execute("SELECT set_config(%s, %s, false)", (setting, str(value)))
            with self._connection.cursor() as cursor:
                cursor.execute(_TAKE, (_LOCKS, self._name))
                row = cursor.fetchone()
                return bool(row and row[0])
        except psycopg2.Error as error:
            self.close()
            raise StoreUnavailable(
                f"the database that keeps the lease does not answer: {str(error).strip()}", "look at PostgreSQL"
            ) from error

    def holds(self) -> bool:
        """Say whether the connection that took it still stands."""
        import psycopg2

        if self._connection is None:
            return False
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            self.close()
            return False
        return True

    def close(self) -> None:
        """Let it go."""
        if self._connection is not None:
            with suppress(Exception):  # it may be gone already
                self._connection.close()
            self._connection = None
