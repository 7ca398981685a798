"""Online features in one SQLite file: many readers and a writer, in several processes, without a server."""

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

from platform_core.contracts.online_store import Key, OnlineRow, OnlineStore, newest
from platform_core.errors import ContractBroken, StoreUnavailable

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
MOST_KEYS = 1000
"""Keys of one view in one part of a SELECT; SQLite takes 32,766 parameters."""
MOST_PARTS = 30
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple).decode


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

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows for each (view, keys) in one SELECT."""
        found: dict[tuple[str, Key], OnlineRow] = {}
        for parts in _parts(asks):
            parameters = [text for view, keys in parts for text in (view, *keys)]
            with self._connection("read") as connection:
                rows = connection.execute(_select(tuple(len(keys) for _, keys in parts)), parameters).fetchall()
            found.update(((view, key), OnlineRow(time, _unpack(packed))) for view, key, time, packed in rows)
        return [[found.get((view, key)) for key in keys] for view, keys in asks]

    def write(self, view: str, entity: str, rows: pa.Table) -> int:
        """Keep the newest row of each entity, all in one transaction."""
        packed = [(view, key, row.event_time_us, _pack(row.values)) for key, row in newest(entity, rows).items()]
        with self._connection("write") as connection, _transaction(connection):
            before = connection.total_changes
            connection.executemany(KEEP_NEWEST, packed)
            return connection.total_changes - before

    def drop(self, view: str) -> None:
        """Forget a view."""
        with self._connection("write") as connection, _transaction(connection):
            connection.execute("delete from features where view = ?", (view,))

    def close(self) -> None:
        """Close the file."""
        while self._open:
            self._open.popitem()[1].close()

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


def _connect(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
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


def _parts(asks: Sequence[tuple[str, Sequence[Key]]]) -> Iterator[list[tuple[str, Sequence[Key]]]]:
    """Cut asks into what one SELECT can take: usually all of them."""
    parts = [(view, keys[i : i + MOST_KEYS]) for view, keys in asks for i in range(0, len(keys), MOST_KEYS)]
    return (parts[i : i + MOST_PARTS] for i in range(0, len(parts), MOST_PARTS))


@lru_cache(maxsize=256)
def _select(counts: tuple[int, ...]) -> str:
    part = "select view, key, event_time_us, packed from features where view = ? and key in ({})"
    return " union all ".join(part.format(",".join("?" * count)) for count in counts)
