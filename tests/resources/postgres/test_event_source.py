"""Rows of a real PostgreSQL as arrivals: the kits, and what values become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound, Unsupported
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.platform_core.testing.promised.conformance import hold
from loopline.resources.postgres.delivery import PostgresDelivery
from loopline.resources.postgres.event_source import PostgresEventSource
from tests.emulators.postgresql import OWNER, Postgresql
from tests.resources.postgres.reading import Make, Run, taken


class TestPostgresEventSource(EventSourceKit):
    """Every promise, in a schema of its own as ``loopline conformance`` holds it to them; nothing is left of it."""

    tested_on = "real server: PostgreSQL"

    @pytest.fixture
    def events(self, make: Make, run: Run, tmp_path: Path) -> Iterator[PostgresEventSource]:
        """Give a source whose tables are called as the sources are; what a killed run left is taken over."""
        run('CREATE SCHEMA IF NOT EXISTS "loopline-kit-x"')
        with make().set_apart("loopline-kit-x") as place:
            yield place
        assert run("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'loopline-kit%'") == []
        assert not (tmp_path / "landing").exists()

    @pytest.fixture
    def deliver(self, events: PostgresEventSource) -> PostgresDelivery:
        """Insert into tables of that schema."""
        delivery: PostgresDelivery = events.kit_fixtures()["deliver"]
        return delivery


class TestWrongPassword(CredentialsKit):
    """A server that asks for one."""

    @pytest.fixture
    def stranger(self, guarded: Postgresql, make: Make, wrong_secret: str) -> PostgresEventSource:
        """Open a source with it; the same one with the right password is let in."""
        place = f"127.0.0.1:{guarded.port}/postgres"
        tables = {"kit/x": {"query": "SELECT now() AS at WHERE false", "watermark": "at"}}
        assert make(url=f"postgresql://{OWNER}:{guarded.password}@{place}", tables=tables).arrivals("kit/x") == []
        return make(url=f"postgresql://{OWNER}:{wrong_secret}@{place}", tables=tables)


def test_who_is_not_let_in_is_told_how(guarded: Postgresql, make: Make) -> None:
    """A wrong password, a database that is not there, and a table that may not be read: each with its fix."""
    place = f"127.0.0.1:{guarded.port}"
    for account, database, fix in (
        ("loopline:wrong", "postgres", "secret://name"),
        ("loopline", "postgres", "secret://name"),
        (f"loopline:{guarded.password}", "nowhere", "name a database"),
        (f"loopline:{guarded.password}", "postgres?sslmode=require", "sslmode"),
    ):
        with pytest.raises(InvalidEnvironment, match=fix):
            make(url=f"postgresql://{account}@{place}/{database}").arrivals("shop/orders")
    with psycopg2.connect(f"postgresql://{OWNER}@/postgres?host={guarded.folder}&port={guarded.port}") as connection:
        connection.cursor().execute("CREATE TABLE orders (at timestamptz); CREATE ROLE reader LOGIN PASSWORD 'r'")
    connection.close()
    with pytest.raises(InvalidEnvironment, match=r"permission denied.* → GRANT"):
        make(url=f"postgresql://reader:r@{place}/postgres").arrivals("shop/orders")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sec@ret@host/db",
        "postgresql://me:sec/ret@host/db",
        "postgresql://me:12/ret@host/db",
        "postgresql://me:sec?ret@host/db",
        "postgresql://me:sec#ret@host/db",
        "postgresql://me:secret",
        "host=x password=secret",
    ],
)
def test_a_url_that_is_read_otherwise_shows_nothing(url: str, make: Make) -> None:
    """The driver would show a part of the password as a host or a port."""
    with pytest.raises(InvalidEnvironment, match="%40 is @") as refused:
        make(url=url).arrivals("shop/orders")
    assert not {"sec", "ret", "12"} & {*str(refused.value.problem).replace("/", "@").split("@")}


def test_values_are_text_as_contracts_read_it(make: Make, run: Run) -> None:
    """Instants in UTC by ISO 8601, truth values and arrays as in JSON, JSON and odd dates as PostgreSQL writes them."""
    run("""CREATE TABLE orders AS SELECT 'infinity'::date AS never, '2020-01-02 07:00+01'::timestamptz AS at, 007 AS n,
        1.50::numeric AS amount, 0.1::float8 AS share, true AS paid, ''::text AS empty, NULL::int AS missing,
        '{"a": 12345678901234567890, "b": 1.0}'::json AS more, ARRAY[1, 2] AS parts, '\\x00ff'::bytea AS raw,
        '2020-01-02 07:00'::timestamp AS there, '2020-02-29'::date AS day, '12:00'::time AS noon,
        '1 day 2:00'::interval AS took, 'NaN'::numeric AS none, '4000-01-01 BC'::date AS long_ago, 'ø"%s' AS "we""ird%s"
    """)
    events = make()
    [arrival] = events.arrivals("shop/orders")
    assert arrival.arrived_at == MORNING
    assert events.read("shop/orders", arrival).to_pylist() == [
        {
            "never": "infinity",
            "at": "2020-01-02T06:00:00+00:00",
            "n": "7",
            "amount": "1.50",
            "share": "0.1",
            "paid": "true",
            "empty": "",
            "missing": None,
            "more": '{"a": 12345678901234567890, "b": 1.0}',
            "parts": "[1,2]",
            "raw": "00ff",
            "there": "2020-01-02T07:00:00",
            "day": "2020-02-29",
            "noon": "12:00:00",
            "took": "1 day 02:00:00",
            "none": "NaN",
            "long_ago": "4000-01-01 BC",
            'we"ird%s': 'ø"%s',
            "_line": 1,
            "_malformed": None,
        }
    ]


def test_a_query_is_read_as_it_stands(make: Make, run: Run) -> None:
    """With signs that the driver would take for values, a comment at its end and a semicolon."""
    run("CREATE TABLE t AS SELECT '50%' AS id, 1 AS at UNION ALL SELECT 'x', 2")
    query = "SELECT id, at FROM t WHERE id LIKE '%\\%%' -- percent: %s\n;"
    events = make(tables={"shop/orders": {"query": query, "watermark": "at", "late_numbers": 5}})
    assert taken(events) == ["50%"]
    run("INSERT INTO t VALUES ('60%', 1)")
    assert taken(events) == ["50%", "60%"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"watermark": "att"}, "no column 'att' → name one of id, at"),
        ({"without": ["x"]}, "no column 'x'"),
        ({"watermark": "id"}, "column 'id' holds neither instants, days nor numbers → name a column"),
        ({"table": "", "query": "SELECT at, at FROM orders"}, "'at' stands twice"),
        ({"table": "", "query": "SELECT at, id AS _watermark FROM orders"}, "'_watermark' of their own"),
        ({"table": "", "query": "SELEC"}, "syntax error.*mend the query"),
    ],
)
def test_settings_that_fit_no_table_are_refused(table: dict[str, object], says: str, make: Make, run: Run) -> None:
    """With the column that is meant, and what is there instead."""
    run("CREATE TABLE orders AS SELECT 'a' AS id, now() AS at")
    with pytest.raises(InvalidEnvironment, match=says):
        make(table=table).arrivals("shop/orders")


def test_a_table_that_is_not_there_is_told(make: Make, run: Run) -> None:
    """By its name; what was taken of it before stays readable."""
    with pytest.raises(NotFound, match=r'"orders" does not exist.*name a table'):
        make().arrivals("shop/orders")
    run("CREATE TABLE orders AS SELECT 'a' AS id, now() AS at")
    events = make()
    assert taken(events) == ["a"]
    run("DROP TABLE orders")
    assert taken(events) == ["a"]
    with pytest.raises(NotFound):
        events.arrivals("shop/orders", known={events.arrivals("shop/orders")[0].arrival_id})


def test_files_arrive_beside_tables(make: Make, tmp_path: Path) -> None:
    """A source that has no table is a folder, and takes what is laid there; a table takes no files."""
    events = make(tables={"shop/orders": {"table": "x", "watermark": "at"}})
    events.lay("shop/prices", "one.csv", b"id\na\n", MORNING)
    assert taken(events, "shop/prices") == ["a"]
    assert events.place("shop/prices") == str(tmp_path / "landing/shop/prices")
    assert events.place("shop/orders") == str(tmp_path / "landing/.taken/shop/orders")
    with pytest.raises(Unsupported):
        events.lay("shop/orders", "one.csv", b"id\na\n", MORNING)


def test_a_page_that_was_changed_is_not_read(make: Make, run: Run, tmp_path: Path) -> None:
    """Neither one that is gone."""
    run("CREATE TABLE orders AS SELECT 'a' AS id, now() AS at")
    events = make()
    [arrival] = events.arrivals("shop/orders")
    page = tmp_path / "landing/.taken/shop/orders/pages" / arrival.name
    for change in (lambda: page.write_bytes(b"other"), page.unlink):
        change()
        with pytest.raises(ContractBroken, match=arrival.name):
            events.read("shop/orders", arrival)
    (tmp_path / "landing/.taken/shop/orders/log/000000000001.json").write_text("{")
    with pytest.raises(ContractBroken, match="restore it"):
        make().arrivals("shop/orders")


def test_an_account_that_may_make_no_schema_is_told(guarded: Postgresql, make: Make) -> None:
    """What conformance needs beyond reading."""
    with psycopg2.connect(f"postgresql://{OWNER}@/postgres?host={guarded.folder}&port={guarded.port}") as connection:
        connection.cursor().execute("CREATE ROLE looker LOGIN PASSWORD 'r'")
    connection.close()
    held = hold("event_source", make(url=f"postgresql://looker:r@127.0.0.1:{guarded.port}/postgres"), "loopline-kit-y")
    assert "permission denied" in held.problem
