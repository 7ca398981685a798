"""Read-only transaction of PostgreSQL; rows come in chunks by a cursor."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment
from loopline.resources.postgres.failures import refuse_odd, told
from loopline.resources.tables.session import VALUE, Answer, quoted
from loopline.resources.tables.watermarks import Kind

if TYPE_CHECKING:
    from psycopg2.extensions import connection

FETCHED = 200
"""Rows that are in memory together, beside the page that they become."""
CONNECT_SECONDS, HUNG_SECONDS = 10, 5.0
"""How long connecting may take, and a server longer than it said for a statement."""
_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""After a minute a connection to a server that is no more there is given up."""
_DATED = {"DATE": (1082,), "TIMESTAMP": (1114,), "TIMESTAMPTZ": (1184,)}
_AS_WRITTEN = (114, 3802, 1186)
"""JSON, JSONB and intervals stay as PostgreSQL writes them."""
_NUMBERS: Mapping[int, Kind] = dict.fromkeys((20, 21, 23, 26, 700, 701, 1700), "number")
_KINDS: Mapping[int, Kind] = {1184: "instant", 1114: "local", 1082: "date", **_NUMBERS}
"""Which types may be watermarks, by their numbers in PostgreSQL's catalogue."""


class PostgresSession:
    """One open transaction."""

    isolation: ClassVar[str] = "REPEATABLE READ"
    now_is: ClassVar[str] = "SELECT now()"

    def __init__(self, connected: connection, statement_seconds: float) -> None:
        self._connection, self._is_open = connected, False
        self._hung_seconds = statement_seconds + HUNG_SECONDS

    @classmethod
    @contextmanager
    def opened(cls, url: str, statement_seconds: float) -> Iterator[Self]:
        """Connect and begin; the transaction ends with the block, and has changed nothing."""
        try:
            import psycopg2
        except ImportError as error:
            raise InvalidEnvironment("psycopg2 is not installed", "install the extra 'postgres'") from error

        refuse_odd(url)
        connected = None
        try:
            connected = psycopg2.connect(url, connect_timeout=CONNECT_SECONDS, **_ALIVE)
            connected.set_session(isolation_level=cls.isolation, readonly=True)
            _cast(connected)
            session = cls(connected, statement_seconds)
            with session._not_for_ever(), connected.cursor() as cursor:
                cursor.execute("SET timezone TO 'UTC'")
                cursor.execute("SET statement_timeout TO %s", (max(1, int(statement_seconds * 1000)),))
            yield session
        except psycopg2.Error as error:
            raise told(error, url) from error
        except UnicodeDecodeError as error:
            raise ContractBroken(f"a value in the database is no text: {error}", "mend it, or leave it out") from error
        finally:
            if connected is not None:
                connected.close()

    def now(self) -> datetime:
        """Ask for the database's own time (UTC)."""
        instant: datetime = next(self.ask(self.now_is).rows)[0]
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)

    def columns(self, relation: str) -> Sequence[str]:
        """Ask for no row."""
        return self.ask(f"SELECT * FROM {relation} WHERE 1 = 0").columns  # noqa: S608 - quoted

    def quoted(self, name: str) -> str:
        """Quote by the standard."""
        return quoted(name)

    def relation(self, table: str) -> str:
        """Quote each part."""
        return ".".join(map(quoted, table.split(".")))

    def ask(self, select: str, values: Sequence[Any] = ()) -> Answer:
        """Declare a cursor for a SELECT in which ``VALUE`` stands for each value, and fetch from it.

        The next call ends what is left of this answer.
        """
        cursor = self._connection.cursor()
        filled = select.replace("%", "%%").replace(VALUE, "%s") if values else select
        with self._not_for_ever():
            if self._is_open:
                cursor.execute("CLOSE taken")
            cursor.execute(f"DECLARE taken CURSOR FOR {filled}", (*values,) or None)
        self._is_open = True
        first = self._fetched(cursor)
        described = cursor.description or ()
        kinds = [_KINDS.get(each[1]) for each in described]
        return Answer([each[0] for each in described], kinds, self._all(first, cursor))

    def _fetched(self, cursor: Any) -> list[Sequence[Any]]:
        with self._not_for_ever():
            cursor.execute(f"FETCH FORWARD {FETCHED} FROM taken")
            return list(cursor.fetchall())

    def _all(self, rows: list[Sequence[Any]], cursor: Any) -> Iterator[Sequence[Any]]:
        yield from rows
        while len(rows) == FETCHED:
            rows = self._fetched(cursor)
            yield from rows

    @contextmanager
    def _not_for_ever(self) -> Iterator[None]:
        """Cut the connection of a server that hangs: it would not end the statement itself, and the driver waits."""
        timer = threading.Timer(self._hung_seconds, _cut, [self._connection])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(connected: connection) -> None:
    with suppress(Exception), socket.socket(fileno=os.dup(connected.fileno())) as there:  # it may be gone by now
        there.shutdown(socket.SHUT_RDWR)


def _cast(connected: connection) -> None:
    """Leave as written what is text already, and what no date of Python's can be, as ``infinity``."""
    from psycopg2 import extensions

    casts = {"DATE": extensions.PYDATE, "TIMESTAMP": extensions.PYDATETIME, "TIMESTAMPTZ": extensions.PYDATETIMETZ}
    for name, oids in _DATED.items():
        extensions.register_type(extensions.new_type(oids, name, _dated(casts[name])), connected)
    extensions.register_type(extensions.new_type(_AS_WRITTEN, "WRITTEN", extensions.UNICODE), connected)


def _dated(cast: Any) -> Any:
    def value(written: str | None, cursor: Any) -> Any:
        if written is None or "infinity" in written:
            return written
        try:
            return cast(written, cursor)
        except (ValueError, OverflowError):
            return written

    return value
