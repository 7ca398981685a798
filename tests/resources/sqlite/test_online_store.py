"""SQLite keeps the online store's promises, for other processes too."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow as pa
import pytest

from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, view_rows
from loopline.resources.sqlite.online_store import SqliteOnlineStore


def _reads_and_writes(path: str, is_written: Event) -> None:
    is_written.wait(60)
    store = SqliteOnlineStore(path=path)
    assert events(store, "v", ["1"]) == {"1": 10}
    store.write("v", "customer_id", view_rows([1], [20], spend=[2.0]))


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Name a file in a folder that is not there yet."""
    return str(tmp_path / "online" / "features.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteOnlineStore]:
    """Open a store on an empty file."""
    store = SqliteOnlineStore(path=path)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(path: str) -> Iterator[SqliteOnlineStore]:
    """Open the same file again."""
    store = SqliteOnlineStore(path=path)
    yield store
    store.close()


class TestSqliteOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "disk"


def test_another_process_sees_writes_and_is_seen(store: SqliteOnlineStore) -> None:
    """A real second process reads what this one wrote, and this one reads what it wrote."""
    fork = multiprocessing.get_context("fork")
    is_written = fork.Event()
    other = fork.Process(target=_reads_and_writes, args=(store.path, is_written))
    other.start()  # before anything is open here, which a fork must not have
    store.write("v", "customer_id", view_rows([1], [10], spend=[1.0]))
    is_written.set()
    other.join(60)
    assert other.exitcode == 0
    assert events(store, "v", ["1"]) == {"1": 20}


def test_readers_do_not_wait_for_a_writer(store: SqliteOnlineStore) -> None:
    """While another process holds the write lock, reading answers and writing says that the store is unavailable."""
    store.write("v", "customer_id", view_rows([1], [10], spend=[1.0]))
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("begin immediate")
    impatient = SqliteOnlineStore(path=store.path, timeout_seconds=0.05)
    assert events(impatient, "v", ["1"]) == {"1": 10}
    with pytest.raises(StoreUnavailable, match="locked"):
        impatient.write("v", "customer_id", view_rows([1], [20], spend=[1.0]))
    holder.execute("rollback")
    assert impatient.write("v", "customer_id", view_rows([1], [20], spend=[1.0])) == 1


def test_one_instance_serves_many_threads(store: SqliteOnlineStore) -> None:
    """Threads that read while another writes never see an event go back."""
    seen: list[list[int | None]] = []

    def watch() -> None:
        seen.append([events(store, "v", ["1"])["1"] for _ in range(200)])

    readers = [threading.Thread(target=watch) for _ in range(3)]
    for reader in readers:
        reader.start()
    for time in range(100):
        store.write("v", "customer_id", view_rows([1], [time], spend=[1.0]))
    for reader in readers:
        reader.join()
    assert len(seen) == 3
    for times in seen:
        known = [time for time in times if time is not None]
        assert known == sorted(known)


def test_a_failed_write_leaves_nothing(store: SqliteOnlineStore) -> None:
    """A write that breaks half way is rolled back, and the next one works."""
    too_large = view_rows([1, 2], [10, 10], spend=[1.0, 2.0])
    store.write("v", "customer_id", view_rows([3], [1], spend=[0.0]))
    writer = store._open[next(place for place in store._open if place[1] == "write")]
    writer.execute(
        "create temp trigger refuse before insert on features when new.key = '2' begin select raise(abort, 'no'); end"
    )
    with pytest.raises(ContractBroken):
        store.write("v", "customer_id", too_large)
    writer.execute("drop trigger refuse")
    assert events(store, "v", ["1", "2", "3"]) == {"1": None, "2": None, "3": 1}
    assert store.write("v", "customer_id", too_large) == 2


def test_a_new_file_that_another_holds_is_waited_for(path: str, store: SqliteOnlineStore) -> None:
    """Two may open a new file at once: SQLite refuses one of them at once, whatever its timeout; we wait."""
    Path(path).parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("begin exclusive")
    other.execute("create table something (else_ text)")
    release = threading.Timer(0.3, other.execute, ("commit",))
    release.start()
    assert store.write("v", "customer_id", view_rows([1], [1], spend=[1.0])) == 1
    release.join()
    other.execute("begin exclusive")
    impatient = SqliteOnlineStore(path=path, timeout_seconds=0.05)
    with pytest.raises(StoreUnavailable, match="who holds the file"):
        impatient.write("v", "customer_id", view_rows([1], [2], spend=[1.0]))
    other.close()


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Workers that start together, each with its own connection."""
    for attempt in range(25):
        path, together = str(tmp_path / f"{attempt}.db"), threading.Barrier(8)

        def write(number: int, path: str = path, together: threading.Barrier = together) -> int:
            store = SqliteOnlineStore(path=path)
            together.wait()
            held = store.write("v", "customer_id", view_rows([number], [1], spend=[1.0]))
            store.close()
            return held

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(write, range(8))) == [1] * 8


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Another kind of file, or a folder that cannot be made, is said to be in the way."""
    strange = tmp_path / "notes.txt"
    strange.write_text("not a database, but long enough to look at " * 50)
    with pytest.raises(ContractBroken, match=r"notes\.txt"):
        SqliteOnlineStore(path=str(strange)).read([("v", ["1"])])
    with pytest.raises(StoreUnavailable, match="below"):
        SqliteOnlineStore(path=str(strange / "below" / "o.db")).read([("v", ["1"])])


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (pa.table({"customer_id": [1], "event_time": pa.array([1], pa.timestamp("us"))}), "event_time"),
        (pa.table({"customer_id": [1.5], "event_time": pa.array([1], pa.timestamp("us", "UTC"))}), "double"),
        (pa.table({"event_time": pa.array([1], pa.timestamp("us", "UTC"))}), "missing"),
    ],
)
def test_rows_without_utc_or_plain_keys_are_refused(store: SqliteOnlineStore, rows: pa.Table, complaint: str) -> None:
    """Naive times and keys whose text is not the same everywhere are refused before anything is written."""
    with pytest.raises(ContractBroken, match=complaint):
        store.write("v", "customer_id", rows)


def test_rows_without_key_are_left_out(store: SqliteOnlineStore) -> None:
    """A null key or a null time is nobody's newest row."""
    assert store.write("v", "customer_id", view_rows([None, 1, 2], [1, None, 3], spend=[1.0, 2.0, 3.0])) == 1
