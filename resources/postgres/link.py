"""Connection pool and transactions of a lake on PostgreSQL, with recovery of a lost commit answer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import CommitConflict, StoreUnavailable
from loopline.resources.postgres.delivery import connected
from loopline.resources.postgres.failures import told

if TYPE_CHECKING:
    from psycopg2.extensions import connection

READS = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITES = "BEGIN ISOLATION LEVEL READ COMMITTED"
_LOCKED = ("55P03", "40P01")
"""Somebody held a lock for too long, or two waited for each other."""
_KEPT = 4
_ASKED_TIMES, _PAUSE_SECONDS = 50, 0.1


class Link:
    """A database, for several threads; a process that was forked connects anew."""

    def __init__(self, url: str, statement_seconds: float, lock_seconds: float) -> None:
        self._url = url
        self._settings = (
            f"SET statement_timeout TO {int(statement_seconds * 1000)}; "
            f"SET lock_timeout TO {int(lock_seconds * 1000)}; "
            "SET timezone TO 'UTC'; SET datestyle TO 'ISO'"
        )
        self._idle: list[connection] = []
        self._process = os.getpid()

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Give a cursor of a transaction that sees one state.

        Raises:
            StoreUnavailable: the database did not answer. InvalidEnvironment: it lets us not read.
        """
        with self._telling(), self._transaction(READS) as (_, cursor):
            yield cursor
            cursor.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """Give a cursor of a transaction that is committed when the block ends, or not at all.

        Raises:
            CommitConflict: another writer held the table for too long. Others: as for reading.
        """
        with self._telling(), self._transaction(WRITES) as (opened, cursor):
            yield cursor
            cursor.execute("SELECT pg_current_xact_id()::text")
            (transaction,) = cursor.fetchone()
            try:
                self._commit(cursor)
            except self._lost() as error:
                opened.close()
                if not self._was_committed(transaction):
                    raise told(error, self._url) from error

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[tuple[connection, Any]]:
        opened = self._begun(begin)
        try:
            yield opened, opened.cursor()
            if len(self._idle) < _KEPT and not opened.closed:
                self._idle.append(opened)
                return
            opened.close()
        except BaseException:
            opened.close()
            raise

    def _begun(self, begin: str) -> connection:
        """Begin on a connection that is kept, if the server still knows it, or on a new one."""
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()  # the parent's, whose sockets we must not speak on
        while self._idle:
            with suppress(IndexError, *self._lost()):
                return _begin(self._idle.pop(), begin)
        opened = connected(self._url)
        opened.autocommit = True  # transactions are begun by what is said
        opened.cursor().execute(self._settings)
        return _begin(opened, begin)

    def _was_committed(self, transaction: str) -> bool:
        """Ask the server what became of a transaction whose commit was not answered.

        Raises:
            StoreUnavailable: it is not to be learned now.
        """
        for _ in range(_ASKED_TIMES):
            with self._transaction(READS) as (_, cursor):
                cursor.execute("SELECT pg_xact_status(%s::xid8)", (transaction,))
                (status,) = cursor.fetchone()
                cursor.execute("ROLLBACK")
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(_PAUSE_SECONDS)
        raise StoreUnavailable("PostgreSQL still works on a commit that it did not answer", "try again", 5)

    @staticmethod
    def _commit(cursor: Any) -> None:
        cursor.execute("COMMIT")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        import psycopg2

        try:
            yield
        except psycopg2.Error as error:
            if error.pgcode in _LOCKED:
                fix = "try again in a while, or raise lock_seconds"
                raise CommitConflict(f"another writer held the table: {str(error).strip()}", fix) from error
            raise told(error, self._url) from error

    @staticmethod
    def _lost() -> tuple[type[Exception], ...]:
        import psycopg2

        return psycopg2.OperationalError, psycopg2.InterfaceError


def _begin(opened: connection, begin: str) -> connection:
    opened.cursor().execute(begin)
    return opened
