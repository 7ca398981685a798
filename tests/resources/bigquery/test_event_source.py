"""Rows of BigQuery as arrivals, by Google's client, on a strict fake of its REST service."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loopline.platform_core.errors import InvalidEnvironment, NotFound, Overloaded, StoreUnavailable
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.event_source import EventSourceKit
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.bigquery import session
from loopline.resources.bigquery.delivery import BigqueryDelivery
from loopline.resources.bigquery.event_source import BigqueryEventSource
from tests.emulators.bigquery import PROJECT, TOKEN, BigqueryServer, bigquery_server
from tests.emulators.bigquery_fake import Refused
from tests.emulators.faults import Does, FaultProxy, answer, every, one_later_each_time
from tests.emulators.metadata_server import metadata_server
from tests.resources.tables.faults import IDS, PATIENT, Opened, TableFaults, taken

Make = Callable[..., BigqueryEventSource]


@pytest.fixture(scope="module")
def server() -> Iterator[BigqueryServer]:
    """Run one, with a data set, and let this process be a workload of Google's that may ask it."""
    with (
        bigquery_server() as server,
        metadata_server(PROJECT, TOKEN) as metadata,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("GCE_METADATA_HOST", metadata)
        patch.setenv("GCE_METADATA_IP", metadata)
        patch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        patch.setenv("CLOUDSDK_CONFIG", "/nowhere")
        server.fake.tables.execute("CREATE SCHEMA shop")
        yield server


@pytest.fixture
def make(server: BigqueryServer, tmp_path: Path) -> Iterator[Make]:
    """Make sources of one table, as several processes would."""
    given = {"landing": str(tmp_path / "landing"), "endpoint": server.url, "look_seconds": 0, "statement_seconds": 5}

    def made(table: str = "", **more: Any) -> BigqueryEventSource:
        tables = {"shop/*": {"table": f"shop.{table}", "watermark": "made_at", **more.pop("table_more", {})}}
        return BigqueryEventSource.model_validate({"tables": tables, **given, **more})

    yield made
    server.fake.fault, server.token = None, TOKEN


def _taken(events: BigqueryEventSource) -> list[str | None]:
    found = events.arrivals("shop/orders")
    return [value for each in found for value in events.read("shop/orders", each)["id"].to_pylist()]


def _new() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


class TestBigqueryEventSource(EventSourceKit):
    """Every promise, in a data set of its own as ``loopline conformance`` holds it to them; nothing is left of it."""

    tested_on = "strict fake: its REST service on DuckDB"

    @pytest.fixture
    def events(self, make: Make, server: BigqueryServer, tmp_path: Path) -> Iterator[BigqueryEventSource]:
        """Give the source there."""
        with make().set_apart("loopline-kit-x") as place:
            yield place
        assert "loopline_kit_x" not in server.fake.data_sets()
        assert not (tmp_path / "landing").exists()

    @pytest.fixture
    def deliver(self, events: BigqueryEventSource) -> BigqueryDelivery:
        """Insert there."""
        delivery: BigqueryDelivery = events.kit_fixtures()["deliver"]
        return delivery


class TestUnknownToken(CredentialsKit):
    """The token service gives one that BigQuery does not know."""

    @pytest.fixture
    def wrong_secret(self) -> str:
        """Name it."""
        return TOKEN

    @pytest.fixture
    def stranger(self, make: Make, server: BigqueryServer) -> BigqueryEventSource:
        """Open a source with it; before BigQuery forgot the token it was let in."""
        tables = {"kit/x": {"query": "SELECT now() AS made_at WHERE false", "watermark": "made_at"}}
        assert make(tables=tables).arrivals("kit/x") == []
        server.token = "another"
        return make(tables=tables)


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "TIMESTAMP", "DATE", "BIGINT"])
def test_rows_come_once_by_each_kind_of_watermark(
    kind: str, make: Make, server: BigqueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, and those that come below the greatest watermark; values are sent as of the column's type."""
    monkeypatch.setattr(session, "FETCHED", 2)
    table, run = _new(), server.fake.tables.execute
    at = [str(n) if kind == "BIGINT" else f"'2020-01-0{n}'::{kind}" for n in (1, 2, 3)]
    run(f"CREATE TABLE shop.{table} (id VARCHAR, made_at {kind})")
    run(f"INSERT INTO shop.{table} VALUES ('a', {at[0]}), ('b', {at[2]}), ('b', {at[2]})")
    more = {"page_rows": 2, "late_seconds": 10_000_000_000}
    assert sorted(map(str, _taken(make(table, table_more=more)))) == ["a", "b", "b"]
    run(f"INSERT INTO shop.{table} VALUES ('b', {at[2]}), ('c', {at[1]})")
    assert sorted(map(str, _taken(make(table, table_more=more)))) == ["a", "b", "b", "b", "c"]


def test_values_are_text_as_contracts_read_it(make: Make, server: BigqueryServer) -> None:
    """Instants in UTC by ISO 8601, arrays as JSON, bytes in hexadecimal."""
    table = _new()
    server.fake.tables.execute(f"""CREATE TABLE shop.{table} AS SELECT '2020-01-02 07:00:00+01'::TIMESTAMPTZ AS made_at,
        1.50::DECIMAL(10,2) AS amount, 0.1::DOUBLE AS share, true AS paid, '' AS empty, NULL::BIGINT AS missing,
        [1, 2] AS parts, '\\x00\\xff'::BLOB AS raw, '2020-02-29'::DATE AS day,
        '2020-01-02 07:00'::TIMESTAMP AS there""")
    events = make(table)
    [arrival] = events.arrivals("shop/orders")
    assert events.read("shop/orders", arrival).to_pylist() == [
        {
            "made_at": "2020-01-02T06:00:00+00:00",
            "amount": "1.50",
            "share": "0.1",
            "paid": "true",
            "empty": "",
            "missing": None,
            "parts": "[1,2]",
            "raw": "00ff",
            "day": "2020-02-29",
            "there": "2020-01-02T07:00:00",
            "_line": 1,
            "_malformed": None,
        }
    ]


def test_what_a_look_may_cost_is_said(make: Make, server: BigqueryServer) -> None:
    """Columns are asked for by a dry run, which is free; every other query has a bound of bytes and of time."""
    table = _new()
    server.fake.tables.execute(f"CREATE TABLE shop.{table} AS SELECT 'a' AS id, 1 AS made_at")
    server.fake.asked.clear()
    assert _taken(make(table, most_gigabytes=2)) == ["a"]
    dry, *others = server.fake.asked
    assert dry["dryRun"] is True
    assert len(others) == 3
    assert {each["query"]["maximumBytesBilled"] for each in others} == {"2000000000"}
    assert {each["jobTimeoutMs"] for each in others} == {"5000"}


def test_settings_that_fit_nothing_are_told(make: Make, server: BigqueryServer) -> None:
    """With what is meant."""
    table = _new()
    server.fake.tables.execute(f"CREATE TABLE shop.{table} AS SELECT 'a' AS id, 1 AS made_at")
    for more, error, says in (
        ({"tables": {"*": {"table": "shop.none", "watermark": "made_at"}}}, NotFound, r"dataset\.table"),
        ({"tables": {"*": {"query": "SELECT id FRM t", "watermark": "made_at"}}}, InvalidEnvironment, "mend the query"),
        ({"table_more": {"watermark": "made"}}, InvalidEnvironment, "no column 'made' → name one of id, made_at"),
        ({"table_more": {"watermark": "id"}}, InvalidEnvironment, "neither instants, days nor numbers"),
    ):
        with pytest.raises(error, match=says):
            make(table, **more).arrivals("shop/orders")


@pytest.mark.parametrize(
    ("status", "reason", "error", "says"),
    [
        (403, "accessDenied", InvalidEnvironment, "roles/bigquery.jobUser"),
        (403, "rateLimitExceeded", Overloaded, "look less often"),
        (400, "bytesBilledLimitExceeded", InvalidEnvironment, "most_gigabytes"),
        (500, "timeout", StoreUnavailable, "statement_seconds"),
        (503, "backendError", StoreUnavailable, "see whether BigQuery answers"),
    ],
)
def test_what_bigquery_refuses_is_told(  # noqa: PLR0913, PLR0917 - four say what, two where
    status: int, reason: str, error: type[Exception], says: str, make: Make, server: BigqueryServer
) -> None:
    """And with what changes it; the next look takes what this one did not."""
    table = _new()
    server.fake.tables.execute(f"CREATE TABLE shop.{table} AS SELECT 'a' AS id, 1 AS made_at")
    server.fake.fault = "ORDER BY", Refused(status, reason, "said so")
    with pytest.raises(error, match=says):
        make(table).arrivals("shop/orders")
    server.fake.fault = None
    assert _taken(make(table)) == ["a"]


def test_a_service_that_is_away_is_waited_for(make: Make) -> None:
    """Within the time that a statement may take."""
    with pytest.raises(StoreUnavailable, match="does not answer"):
        make("x", endpoint=f"http://127.0.0.1:{free_port()}").arrivals("shop/orders")


def test_a_key_that_signs_by_a_wrong_clock_is_told(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock may be right the next time, a key that nobody knows may not."""
    key = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    who = {"type": "service_account", "client_email": "kit@example.com", "private_key": key}
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    said: tuple[tuple[str, type[Exception], str], ...] = (
        ("Token must be a short-lived token. Check your iat and exp values.", StoreUnavailable, "set the clock"),
        ("Invalid grant: account not found", InvalidEnvironment, "Workload Identity"),
    )
    with FaultProxy("http://nowhere.invalid") as tokens:
        (tmp_path / "key.json").write_text(json.dumps({**who, "token_uri": tokens.url}))
        for words, error, says in said:
            refused = json.dumps({"error": "invalid_grant", "error_description": words}).encode()
            tokens.add(every(), answer(400, refused, {"Content-Type": "application/json"}), times=1)
            with pytest.raises(error, match=says) as told:
                make("x").arrivals("shop/orders")
            assert key.splitlines()[1] not in str(told.value)
        assert tokens.count(every()) == len(said)


class TestFaults(TableFaults):
    """Between Google's client and the fake."""

    @pytest.fixture
    def proxy(self, server: BigqueryServer) -> Iterator[FaultProxy]:
        """Stand there."""
        with FaultProxy(server.url) as proxy:
            yield proxy

    @pytest.fixture
    def opened(self, make: Make, server: BigqueryServer, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Opened:
        """Open it; the service gives a row at a time."""
        monkeypatch.setattr(session, "FETCHED", 1)
        table = _new()
        server.fake.tables.execute(f"CREATE TABLE shop.{table} (id VARCHAR, made_at BIGINT)")
        server.fake.tables.execute(f"INSERT INTO shop.{table} VALUES ('a', 1), ('b', 2), ('c', 3)")
        more: dict[str, Any] = {"endpoint": proxy.url, "table_more": {"page_rows": 1}}
        return lambda seconds: make(table, statement_seconds=seconds, **more)

    @pytest.fixture
    def refusal(self) -> tuple[Does, str]:
        """Know the token no more; the client asks for another one, and it is not known either."""
        return answer(401, b"{}"), "Workload Identity"

    def test_a_token_that_has_expired_is_taken_anew(self, opened: Opened, proxy: FaultProxy) -> None:
        """By the client, at each of its requests, and nothing fails."""
        expired = proxy.add(one_later_each_time(), answer(401, b"{}"))
        assert taken(opened(PATIENT)) == IDS
        assert expired.taken > 1
