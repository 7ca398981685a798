"""Online store in one SQLite file: many readers and a writer, in several processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from pydantic import PrivateAttr

from loopline.platform_core.contracts.online_packing import pack_values, unpack_values
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.foundation.files import lent
from loopline.platform_core.foundation.sqlite_file import write_ahead

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = """
create table if not exists features (
    view text not null, key text not null, event_time_us integer not null, packed blob not null,
    primary key (view, key)
) without rowid
"""
KEEP_NEWEST = """
insert into features values (?, ?, ?, ?) on conflict (view, key) do update
set event_time_us = excluded.event_time_us, packed = excluded.packed
where excluded.event_time_us >= features.event_time_us
"""
REPLACE = """
insert into features values (?, ?, ?, ?) on conflict (view, key) do update
set event_time_us = excluded.event_time_us, packed = excluded.packed where features.event_time_us <= ?
"""
TAKE_BACK = "delete from features where view = ? and key = ? and event_time_us <= ?"
PART = """
select {}, asked.key, event_time_us, packed from json_each(?) asked
cross join features on features.view = ? and features.key = asked.value
"""
"""The rows of one ask; its keys come as a JSON array, which costs half of what a parameter a key does."""
MOST_ASKS = 200
"""Asks in one SELECT; SQLite puts 500 together."""
SWEEPS = 100
"""How often rows that became too old are removed while a row lives; looking for them walks over the view."""
ESCAPE = "\x01"
DAY_US = 86_400_000_000
_keys = msgspec.json.Encoder().encode


class SqliteOnlineStore(OnlineStore):
    """One row a view and entity, its values packed; WAL, so that reading never waits for the writer.

    ``timeout_seconds`` is how long to wait for another process's lock.
    """

    path: str
    timeout_seconds: float = 5.0
    _open: dict[tuple[int, str], sqlite3.Connection] = PrivateAttr(default_factory=dict)
    _locks: dict[str, threading.Lock] = PrivateAttr(
        default_factory=lambda: {"read": threading.Lock(), "write": threading.Lock()}
    )
    _swept_us: dict[str, int] = PrivateAttr(default_factory=dict)

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows for each (view, keys) in one SELECT."""
        if len(asks) > MOST_ASKS:
            return self.read(asks[:MOST_ASKS]) + self.read(asks[MOST_ASKS:])
        found: list[list[OnlineRow | None]] = [[None] * len(keys) for _, keys in asks]
        parameters = [text for view, keys in asks for text in (_encoded_keys(keys), view)]
        if parameters:
            with self._connection("read") as connection:
                rows = connection.execute(_select(len(asks)), parameters).fetchall()
            for ask, place, time, packed in rows:
                found[ask][place] = OnlineRow(time, unpack_values(packed))
        return found

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, all in one transaction; rows that became too old go now and then."""
        oldest_us = keep.oldest_us if keep else None
        packed = [
            (view, _held(key), row.event_time_us, pack_values(row.values))
            for key, row in newest(entity, rows).items()
            if oldest_us is None or row.event_time_us >= oldest_us
        ]
        with self._connection("write") as connection, _transaction(connection):
            before = connection.total_changes
            connection.executemany(KEEP_NEWEST, packed)
            held = connection.total_changes - before
            if keep:
                self._sweep(connection, view, keep)
            return held

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void, all in one transaction."""
        asked = list(replacing(entity, rows, void, keep))
        puts = [(view, key, row.event_time_us, pack_values(row.values), until) for key, row, until in asked if row]
        with self._connection("write") as connection, _transaction(connection):
            before = connection.total_changes
            connection.executemany(REPLACE, puts)
            connection.executemany(TAKE_BACK, [(view, key, until) for key, row, until in asked if row is None])
            return connection.total_changes - before

    def erase(self, view: str, entity: str, keys: Sequence[Key]) -> None:  # noqa: ARG002 - others need the entity
        """Delete rows, and write the file anew: a page that is free, or the log of writes, would hold them still."""
        with self._connection("write") as connection:
            with _transaction(connection):
                gone = [(view, _held(key)) for key in keys]
                connection.executemany("delete from features where view = ? and key = ?", gone)
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")

    def drop(self, view: str) -> None:
        """Forget a view."""
        with self._connection("write") as connection, _transaction(connection):
            connection.execute("delete from features where view = ?", (view,))

    @contextmanager
    def set_apart(self, name: str) -> Iterator[SqliteOnlineStore]:
        """Give a file in a folder of its own, beside this one."""
        with lent(Path(self.path).absolute().parent / name) as folder:
            place = self.with_settings(path=str(folder / Path(self.path).name))
            try:
                yield place
            finally:
                place.close()

    def close(self) -> None:
        """Close the file."""
        while self._open:
            self._open.popitem()[1].close()

    def _sweep(self, connection: sqlite3.Connection, view: str, keep: Keep) -> None:
        """Remove a view's rows that are too old, when the last time is long enough ago."""
        swept_us, oldest_us = self._swept_us.get(view), keep.oldest_us
        if swept_us is None or oldest_us - swept_us >= keep.ttl_days * DAY_US / SWEEPS:
            connection.execute("delete from features where view = ? and event_time_us < ?", (view, oldest_us))
            self._swept_us[view] = oldest_us

    @contextmanager
    def _connection(self, purpose: str) -> Iterator[sqlite3.Connection]:
        """Lend this process's connection for reading or writing to one thread at a time."""
        place = (os.getpid(), purpose)
        with self._locks[purpose]:
            try:
                if place not in self._open:
                    self._open[place] = _connect(Path(self.path), self.timeout_seconds)
                yield self._open[place]
            except (sqlite3.OperationalError, OSError) as error:
                raise StoreUnavailable(
                    f"{self.path}: {error}", "see who holds the file, and that it may be written"
                ) from error
            except sqlite3.DatabaseError as error:
                raise ContractBroken(f"{self.path}: {error}", "delete the file and refill it from the lake") from error


def _held(key: Key) -> str:
    """Return a key as it stands in the file: SQLite ends a text of JSON at a NUL, so none may be in it."""
    return key.replace(ESCAPE, ESCAPE * 2).replace("\0", f"{ESCAPE}0") if "\0" in key or ESCAPE in key else key


def _encoded_keys(keys: Sequence[Key]) -> str:
    encoded: str = _keys(keys).decode()
    if "\\u0000" in encoded or "\\u0001" in encoded:  # as good as never, and looked for once for all keys
        encoded = _keys([_held(key) for key in keys]).decode()
    return encoded


def _connect(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False)
    write_ahead(connection, timeout_seconds)
    connection.execute("pragma synchronous = normal")  # with WAL nothing is lost when a process dies
    connection.execute(TABLE)
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


@lru_cache(maxsize=MOST_ASKS)
def _select(asks: int) -> str:
    return " union all ".join(PART.format(ask) for ask in range(asks))
