"""A database that is away, cut off, slow or full: told as what it is, and nothing is lost or twice."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.postgres import session
from loopline.resources.postgres.session import PostgresSession
from tests.resources.postgres.reading import Make, Run, taken


@pytest.mark.parametrize("place", ["127.0.0.1:{port}", "nowhere.invalid:{port}", "[::1]:{port},127.0.0.1:{port}"])
def test_a_database_that_is_away_is_waited_for(place: str, make: Make, run: Run) -> None:
    """What was taken before is listed and read all the same; who waits for more is told to come again."""
    run("CREATE TABLE orders AS SELECT 1 AS id, now() AS at")
    assert taken(make()) == ["1"]
    where = place.format(port=free_port())
    away = make(url=f"postgresql://me:open-sesame@{where}/db")
    assert taken(away) == ["1"]
    known = {arrival.arrival_id for arrival in away.arrivals("shop/orders")}
    with pytest.raises(StoreUnavailable, match="PostgreSQL at") as told:
        away.arrivals("shop/orders", known=known)
    assert where in told.value.problem
    assert told.value.delay_seconds > 0
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize("after", range(1, 6))
def test_a_connection_that_is_cut_costs_a_look(
    after: int, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the session after so many fetches; what was taken by then stays, the next look has the rest."""
    run("CREATE TABLE orders AS SELECT n AS id, now() AS at FROM generate_series(1, 7) n")
    monkeypatch.setattr(session, "FETCHED", 2)

    def cut(backend: int) -> None:
        run("SELECT pg_terminate_backend(%s)", backend)
        time.sleep(0.05)  # the server ends it a moment after it has said so

    monkeypatch.setattr(PostgresSession, "_fetched", _before(PostgresSession._fetched, cut, after))
    known: set[str] = set()

    def look() -> None:
        known.update(each.arrival_id for each in make(table={"page_rows": 1}).arrivals("shop/orders", known=known))

    with pytest.raises(StoreUnavailable) as told:  # noqa: PT012 - what was taken is listed first
        for _ in range(9):
            look()
    assert told.value.delay_seconds > 0
    monkeypatch.undo()
    assert sorted(map(str, taken(make(table={"page_rows": 1})))) == list("1234567")


def _before(fetched: Any, does: Callable[[int], None], after: int) -> Any:
    """Fetch, and do something to the session's process before its ``after``-th fetch, in every look."""
    counts: dict[int, int] = {}

    def fetches(self: PostgresSession, cursor: Any) -> Any:
        backend = cursor.connection.info.backend_pid
        counts[backend] = counts.get(backend, 0) + 1
        if counts[backend] == after:
            does(backend)
        return fetched(self, cursor)

    return fetches


def test_a_server_that_hangs_is_left(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its connections and says nothing; what it gave by then stays."""
    run("CREATE TABLE orders AS SELECT n AS id, now() AS at FROM generate_series(1, 5) n")
    stopped: list[int] = []

    def hang(backend: int) -> None:
        os.kill(backend, signal.SIGSTOP)
        stopped.append(backend)

    monkeypatch.setattr(session, "FETCHED", 2)
    monkeypatch.setattr(session, "HUNG_SECONDS", 0.3)
    monkeypatch.setattr(PostgresSession, "_fetched", _before(PostgresSession._fetched, hang, 4))
    try:
        first = make(table={"page_rows": 1}, statement_seconds=1).arrivals("shop/orders")
        known = {arrival.arrival_id for arrival in first}
        with pytest.raises(StoreUnavailable):
            make(table={"page_rows": 9}, statement_seconds=1).arrivals("shop/orders", known=known)
    finally:
        for backend in stopped:
            os.kill(backend, signal.SIGCONT)
    monkeypatch.undo()
    assert 0 < len(known) < 5
    assert sorted(map(str, taken(make()))) == list("12345")


def test_a_statement_that_takes_too_long_is_ended(make: Make, run: Run) -> None:
    """With what makes it fast."""
    run("CREATE TABLE t AS SELECT 1 AS id, now() AS at")
    query = "SELECT id, at FROM t WHERE pg_sleep(5) IS NOT NULL"
    events = make(tables={"shop/orders": {"query": query, "watermark": "at"}}, statement_seconds=0.3)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="statement timeout → index the watermark column"):
        events.arrivals("shop/orders")
    assert time.monotonic() - begun < 4


def test_a_text_that_is_none_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without an encoding may hold any bytes."""
    monkeypatch.setattr(PostgresSession, "now", lambda self: b"\xff".decode())
    tables = {"shop/orders": {"query": "SELECT 1 AS id, now() AS at", "watermark": "at"}}
    with pytest.raises(ContractBroken, match="is no text"):
        make(tables=tables).arrivals("shop/orders")


def test_a_missing_driver_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(InvalidEnvironment, match="the extra 'postgres'"):
        make().arrivals("shop/orders")


def test_the_database_is_only_read(make: Make, run: Run) -> None:
    """What a query would change is refused by the server."""
    run("CREATE SEQUENCE numbers")
    query = "SELECT nextval('numbers') AS id, now() AS at"
    with pytest.raises(InvalidEnvironment, match=r"read-only transaction → let the query change nothing"):
        make(tables={"shop/orders": {"query": query, "watermark": "at"}}).arrivals("shop/orders")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_SECONDS", 2)
