"""What the page on databases shows lands rows of a real one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest

from loopline.platform_core import environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.postgres.event_source import PostgresEventSource
from loopline.resources.tables.tables import Table
from tests.docs.page import Page

PAGE = Page("how-to/take-rows-from-a-database.md")
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
schema:
  - name: orders
    properties:
      - {name: customer, physicalName: customer, logicalType: integer, required: true}
      - {name: paid, physicalName: paid, logicalType: boolean}
      - {name: updated_at, physicalName: updated_at, logicalType: timestamp}
"""


@pytest.fixture
def events(new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresEventSource:
    """Bind what the page shows, to a database of the test's and a password in a file."""
    url = new_database()
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (customer int, paid bool, updated_at timestamptz)")
        cursor.execute("CREATE TABLE clicks (id serial, customer int, page text, at timestamptz, is_bot bool)")
        cursor.execute(
            "INSERT INTO orders VALUES (7, true, '2020-01-02 06:00+00'), (NULL, false, '2020-01-02 06:00+00')"
        )
        cursor.execute("INSERT INTO clicks (page, is_bot) VALUES ('/a', false), ('/b', true)")
    connection.close()
    [shown] = PAGE.blocks("yaml")
    shown = shown.replace("@db.example/shop?sslmode=require", f"@{url.partition('@')[2]}")
    shown = shown.replace("public.orders", "orders").replace("\n", "\n  ")
    secrets = tmp_path / "secrets/shop"
    secrets.mkdir(parents=True)
    (secrets / "database").write_text('{"password": "p@ss/word"}')
    file = tmp_path / "e.yaml"
    file.write_text(f"bindings:\n  secrets: {{vendor: files, root: {secrets.parent}}}\n  {shown}")
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    bound = environment.read(file, only=("event_source",)).bindings["event_source"]
    assert isinstance(bound, PostgresEventSource)
    assert "p%40ss%2Fword@" in bound.url
    assert "ss%2F" not in repr(bound)
    return bound


def test_rows_land_as_the_page_says(events: PostgresEventSource, tmp_path: Path) -> None:
    """Those that keep the contract in the lake, the others as dead letters; a second landing has nothing to do."""
    (tmp_path / "orders.yaml").write_text(CONTRACT)
    bindings = {"lake": InMemoryLake(), "event_source": events, "engine": PolarsEngine()}
    ledger, clock = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "clock"
    ReplayClock(clock).set(datetime(2020, 1, 3, tzinfo=UTC))
    platform = Platform(environment.Environment("page", tmp_path, bindings, ledger, clock, tmp_path))
    args = platform, Team("shop", tmp_path), Source("orders", "orders.yaml")
    landed = land(*args)
    assert (landed.rows, landed.dead) == (1, 1)
    assert land(*args).rows == 0
    clicks = events.read("shop/clicks", *events.arrivals("shop/clicks")).to_pydict()
    assert (clicks["id"], clicks["page"]) == (["1"], ["/a"])


def test_the_defaults_are_those_of_the_table() -> None:
    """Each setting of the page's table is a field with that default."""
    said = re.findall(r"^\| (`\w+`[^|]*) \| ([\d, ]+) \|", PAGE.text, re.MULTILINE)
    fields = PostgresEventSource.model_fields | Table.model_fields
    assert len(said) == 4
    for names, values in said:
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True):
            assert fields[name].default == float(value), name
