"""Rows of Snowflake as arrivals, on fakesnow: its protocol and client, with DuckDB behind."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from snowflake.connector import result_batch
from snowflake.connector.connection import DEFAULT_CONFIGURATION

from loopline.platform_core.errors import InvalidEnvironment, NotFound, StoreUnavailable
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.event_source import EventSourceKit
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.snowflake import account
from loopline.resources.snowflake.delivery import SnowflakeDelivery
from loopline.resources.snowflake.event_source import SnowflakeEventSource
from tests.emulators.faults import (
    Answer,
    Does,
    FaultProxy,
    Forward,
    Request,
    answer,
    every,
    one_later_each_time,
    path,
    tear_answer,
)
from tests.emulators.snowflake import PASSWORD, Snowflake
from tests.resources.tables.faults import IDS, PATIENT, SOURCE, Opened, TableFaults, taken

Make = Callable[..., SnowflakeEventSource]
Run = Callable[[str], list[Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snowflake]:
    """Run one, with a database and two schemas."""
    server = Snowflake(tmp_path_factory.mktemp("snowflake"))
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def run(server: Snowflake) -> Iterator[Run]:
    """Run statements in a schema of the tests."""
    from snowflake import connector

    connected = connector.connect(account="acme", user="root", password=PASSWORD, **_where(server))
    for statement in ("CREATE DATABASE DB", "CREATE SCHEMA DB.SHOP", "USE SCHEMA DB.SHOP"):
        connected.cursor().execute(statement)
    yield lambda statement: connected.cursor().execute(statement).fetchall()
    connected.close()


def _where(server: Snowflake) -> dict[str, Any]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return {"host": host, "port": int(port), "protocol": "http"}


@pytest.fixture(scope="module")
def given(server: Snowflake) -> dict[str, Any]:
    """Say where it is."""
    where = {"account": "acme", "user": "loopline", "password": PASSWORD, "database": "DB", "endpoint": server.url}
    return {**where, "look_seconds": 0, "statement_seconds": 5}


@pytest.fixture
def make(given: dict[str, Any], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make sources of one table, as several processes would."""
    monkeypatch.setattr(account, "CONNECT_SECONDS", 2)

    def made(table: str = "", **more: Any) -> SnowflakeEventSource:
        tables = {"shop/*": {"table": f"SHOP.{table}", "watermark": "MADE_AT", **more.pop("table_more", {})}}
        apart = {"tables": tables, "landing": str(tmp_path / "landing")}
        return SnowflakeEventSource.model_validate(given | apart | more)

    return made


def _taken(events: SnowflakeEventSource, column: str = "ID") -> list[str | None]:
    found = events.arrivals("shop/orders")
    return [value for each in found for value in events.read("shop/orders", each)[column].to_pylist()]


def _new() -> str:
    return f"T{uuid.uuid4().hex[:8].upper()}"


class TestSnowflakeEventSource(EventSourceKit):
    """Every promise, in a schema of its own as ``loopline conformance`` holds it to them; nothing is left of it."""

    tested_on = "emulator: fakesnow"

    @pytest.fixture(scope="class")
    def apart(self, given: dict[str, Any], run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        """Give the source there."""
        landing = tmp_path_factory.mktemp("apart") / "landing"
        whole = SnowflakeEventSource.model_validate(given | {"landing": str(landing), "tables": {}})
        with whole.set_apart("loopline-kit-x") as place:
            yield place
        assert run("SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME LIKE 'loopline%'") == []
        assert not landing.exists()

    @pytest.fixture
    def events(self, apart: SnowflakeEventSource) -> SnowflakeEventSource:
        """Open it as another process would."""
        return apart.with_settings()

    @pytest.fixture
    def deliver(self, apart: SnowflakeEventSource) -> SnowflakeDelivery:
        """Insert there."""
        delivery: SnowflakeDelivery = apart.kit_fixtures()["deliver"]
        return delivery


class TestWrongPassword(CredentialsKit):
    """The server asks for one."""

    @pytest.fixture
    def wrong_secret(self) -> str:
        """Give a password that is none."""
        return "mellon"

    @pytest.fixture
    def stranger(self, make: Make, wrong_secret: str) -> SnowflakeEventSource:
        """Open a source with it; the same one with the right password is let in."""
        tables = {"kit/x": {"query": "SELECT CURRENT_TIMESTAMP() AS MADE_AT WHERE FALSE", "watermark": "MADE_AT"}}
        assert make(tables=tables).arrivals("kit/x") == []
        return make(tables=tables, password=wrong_secret)


@pytest.mark.parametrize("kind", ["TIMESTAMP_TZ", "TIMESTAMP_NTZ", "DATE", "NUMBER(38,0)"])
def test_rows_come_once_by_each_kind_of_watermark(kind: str, make: Make, run: Run) -> None:
    """Also those that come while it is read, below the greatest watermark, and in another process."""
    table, is_number = _new(), "NUMBER" in kind
    at = [str(n) if is_number else f"'2020-01-0{n}'::{kind}" for n in (1, 2, 3)]
    run(f"CREATE TABLE {table} (ID VARCHAR, MADE_AT {kind})")
    run(f"INSERT INTO {table} VALUES ('a', {at[0]}), ('b', {at[2]}), ('b', {at[2]})")
    more = {"page_rows": 2, "late_seconds": 10_000_000_000}
    assert sorted(map(str, _taken(make(table, table_more=more)))) == ["a", "b", "b"]
    run(f"INSERT INTO {table} VALUES ('b', {at[2]}), ('c', {at[1]})")
    assert sorted(map(str, _taken(make(table, table_more=more)))) == ["a", "b", "b", "b", "c"]


def test_values_are_text_as_contracts_read_it(make: Make, run: Run) -> None:
    """Instants in UTC by ISO 8601, numbers with their scale, semi-structured values as Snowflake writes them."""
    table = _new()
    run(f"""CREATE TABLE {table} AS SELECT '2020-01-02 07:00:00'::TIMESTAMP_TZ AS MADE_AT,
        1.50::NUMBER(10,2) AS "amount", 0.1::FLOAT AS SHARE, TRUE AS PAID, ''::VARCHAR AS EMPTY,
        NULL::INT AS MISSING, PARSE_JSON('{{"a": 1}}') AS MORE,
        '2020-02-29'::DATE AS DAY, '12:00:00'::TIME AS NOON, '2020-01-02 07:00:00'::TIMESTAMP_NTZ AS THERE""")
    events = make(table)
    [arrival] = events.arrivals("shop/orders")
    [row] = events.read("shop/orders", arrival).to_pylist()
    assert row | {"MORE": ""} == {
        "MADE_AT": "2020-01-02T07:00:00+00:00",
        "amount": "1.50",
        "SHARE": "0.1",
        "PAID": "true",
        "EMPTY": "",
        "MISSING": None,
        "MORE": "",
        "DAY": "2020-02-29",
        "NOON": "12:00:00",
        "THERE": "2020-01-02T07:00:00",
        "_line": 1,
        "_malformed": None,
    }
    assert row["MORE"].replace(" ", "") == '{"a":1}'


def test_a_query_is_read_as_it_stands(make: Make, run: Run) -> None:
    """With signs that the client would take for values."""
    table = _new()
    run(f"CREATE TABLE {table} AS SELECT '50%?' AS ID, 1 AS MADE_AT UNION ALL SELECT 'x', 2")
    query = f"SELECT ID, MADE_AT FROM SHOP.{table} WHERE ID LIKE '%\\%?' -- percent: %s ?\n;"
    events = make(tables={"shop/orders": {"query": query, "watermark": "MADE_AT"}})
    assert _taken(events) == ["50%?"]
    assert _taken(events) == ["50%?"]


def test_settings_that_fit_nothing_are_told(make: Make, run: Run) -> None:
    """With what is meant."""
    table = _new()
    run(f"CREATE TABLE {table} AS SELECT 'a' AS ID, 1 AS MADE_AT")
    for more, error, says in (
        ({"tables": {"*": {"table": "SHOP.NONE", "watermark": "MADE_AT"}}}, NotFound, "as Snowflake spells it"),
        ({"tables": {"*": {"query": "SELEC", "watermark": "MADE_AT"}}}, InvalidEnvironment, "mend the query"),
        ({"table_more": {"watermark": "at"}}, InvalidEnvironment, "no column 'at' → name one of ID, MADE_AT"),
        ({"table_more": {"watermark": "ID"}}, InvalidEnvironment, "neither instants, days nor numbers"),
        ({"password": ""}, InvalidEnvironment, "none, or several"),
        ({"workload_identity": "AWS"}, InvalidEnvironment, "none, or several"),
        ({"password": "", "private_key": "no key"}, InvalidEnvironment, "openssl pkcs8"),
        ({"endpoint": "localhost"}, InvalidEnvironment, "is no URL"),
    ):
        with pytest.raises(error, match=says):
            make(table, **more).arrivals("shop/orders")


def test_a_private_key_signs_the_login(make: Make, run: Run) -> None:
    """It is sent as a signed token; which key it was fakesnow does not look at."""
    table = _new()
    run(f"CREATE TABLE {table} AS SELECT 'a' AS ID, 1 AS MADE_AT")
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
    events = make(table, password="", private_key=pem)
    assert _taken(events) == ["a"]
    assert "PRIVATE KEY" not in repr(events)


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ({"code": 630, "message": "Statement reached its statement or warehouse timeout"}, StoreUnavailable, "raise"),
        ({"code": 606, "message": "No active warehouse selected"}, InvalidEnvironment, "name a warehouse"),
        ({"code": 3001, "message": "Insufficient privileges"}, InvalidEnvironment, "GRANT USAGE"),
    ],
)
def test_what_snowflake_refuses_is_told(  # noqa: PLR0913, PLR0917 - three say what, three where
    fault: dict[str, Any], error: type[Exception], says: str, make: Make, run: Run, server: Snowflake
) -> None:
    """And with what changes it; the next look takes what this one did not."""
    table = _new()
    run(f"CREATE TABLE {table} AS SELECT 'a' AS ID, 1 AS MADE_AT")
    server.fail("ORDER BY", **fault)
    try:
        with pytest.raises(error, match=says):
            make(table).arrivals("shop/orders")
    finally:
        server.mend()
    assert _taken(make(table)) == ["a"]


def test_an_account_that_does_not_answer_is_waited_for(make: Make) -> None:
    """And its password is not shown."""
    with pytest.raises(StoreUnavailable, match="see whether Snowflake answers") as told:
        make("X", endpoint=f"http://127.0.0.1:{free_port()}", password="mellon").arrivals("shop/orders")
    assert "mellon" not in str(told.value)


class TestFaults(TableFaults):
    """Between Snowflake's client and the emulator; the client asks again what fails, here without a pause."""

    @pytest.fixture
    def proxy(self, server: Snowflake) -> Iterator[FaultProxy]:
        """Stand there."""
        with FaultProxy(server.url) as proxy:
            yield proxy

    @pytest.fixture
    def opened(self, make: Make, run: Run, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Opened:
        """Open it."""
        monkeypatch.setattr(account, "HUNG_SECONDS", 0)
        monkeypatch.setitem(DEFAULT_CONFIGURATION, "backoff_policy", (lambda: repeat(0), Callable))
        table = _new()
        run(f"CREATE TABLE {table} AS SELECT 'a' AS ID, 1 AS MADE_AT UNION ALL SELECT 'b', 2 UNION ALL SELECT 'c', 3")
        more: dict[str, Any] = {"endpoint": proxy.url, "table_more": {"page_rows": 1}}
        return lambda seconds: make(table, statement_seconds=seconds, **more)

    @pytest.fixture
    def refusal(self) -> tuple[Does, str]:
        """Let the password be too old."""
        return _said(390106, "Specified password has expired."), "set another password"

    @pytest.mark.parametrize("does", [tear_answer(), answer(403)], ids=["torn", "too old"])
    def test_a_part_of_a_result_may_fail(
        self, does: Does, opened: Opened, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Large results are fetched from elsewhere: a page that was whole by then stays, the next look has the rest."""
        monkeypatch.setattr(result_batch, "MAX_DOWNLOAD_RETRY", 1)  # of ten, with pauses
        parts = _Parts(f"{proxy.url}/part")
        failing = proxy.add(path("/part"), lambda request, _: does(request, parts.give), times=1)
        proxy.add(path("/part"), lambda request, _: parts.give(request))
        proxy.add(path("query-request"), parts.cut)
        events = opened(PATIENT)
        [first] = events.arrivals(SOURCE)
        assert failing.taken == 1
        assert [row["ID"] for row in events.read(SOURCE, first).to_pylist()] == IDS[:1]
        assert taken(opened(PATIENT)) == IDS

    def test_a_session_that_has_expired_is_renewed(self, opened: Opened, proxy: FaultProxy) -> None:
        """By the client, at each of its requests, and nothing fails."""
        proxy.add(path("token-request"), _renewed)
        expired = proxy.add(every(path("query-request"), one_later_each_time()), _said(390112, "Session has expired."))
        assert taken(opened(PATIENT)) == IDS
        assert expired.taken > 1

    @pytest.mark.parametrize("code", [390111, 390114])
    def test_a_session_that_is_gone_costs_a_look(self, code: int, opened: Opened, proxy: FaultProxy) -> None:
        """The next one logs in."""
        proxy.add(path("query-request"), _said(code, "Session no longer exists."), skip=2, times=1)
        with pytest.raises(StoreUnavailable, match="the next look logs in anew"):
            opened(PATIENT).arrivals(SOURCE)
        assert taken(opened(PATIENT)) == IDS


@pytest.mark.parametrize(
    ("does", "error", "says"),
    [
        (lambda: _said(394302, "JWT token is not yet valid."), StoreUnavailable, "set this machine's clock"),
        (lambda: _said(390144, "JWT token is invalid."), InvalidEnvironment, "machine's clock is right"),
        (lambda: _said(390101, "User access disabled."), InvalidEnvironment, "DESCRIBE USER"),
        (lambda: answer(401), InvalidEnvironment, "DESCRIBE USER"),
        (lambda: answer(403), InvalidEnvironment, "organization-account"),
    ],
    ids=["clock", "key", "user", "401", "403"],
)
def test_why_nobody_is_let_in_is_told(
    does: Callable[[], Does], error: type[Exception], says: str, make: Make, server: Snowflake
) -> None:
    """With what changes it; a clock may be right the next time."""
    with FaultProxy(server.url) as proxy:
        proxy.add(path("login-request"), does())
        with pytest.raises(error, match=says):
            make("X", endpoint=proxy.url).arrivals("shop/orders")


class _Parts:
    """Gives a result's rows but the first two from a URL of their own, as Snowflake does with those of large ones."""

    def __init__(self, url: str) -> None:
        self._url, self._part = url, b""

    def cut(self, request: Request, forward: Forward) -> Answer:
        """Leave two rows in the answer."""
        given = forward(request)
        said = json.loads(given.body)
        if said["data"].get("total", 0) < 3:
            return given
        rows = pa.ipc.open_stream(base64.b64decode(said["data"]["rowsetBase64"])).read_all()
        self._part = _stream(rows.slice(2))
        about = {"url": self._url, "rowCount": len(rows) - 2, "uncompressedSize": 1, "compressedSize": 1}
        said["data"] |= {"rowsetBase64": base64.b64encode(_stream(rows.slice(0, 2))).decode(), "chunks": [about]}
        return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def give(self, _: Request) -> Answer:
        """Give the others."""
        return Answer(200, self._part)


def _stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _said(code: int, words: str) -> Does:
    """Refuse as Snowflake does, in the body."""
    said = {"data": {}, "code": str(code), "message": words, "success": False}
    return answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})


def _renewed(request: Request, _: Any) -> Answer:
    """Renew a session, which keeps its token: fakesnow knows no other one."""
    token = json.loads(gzip.decompress(request.body))["oldSessionToken"]
    said = {"data": {"sessionToken": token, "masterToken": "master"}, "success": True}
    return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
