"""Feast knows no deletion: a row that is no more is not among the exported ones, nor is what it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from loopline.feast_export import export
from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.testing.fakes.event_source import InMemoryEventSource
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.resources.polars.engine import PolarsEngine
from loopline.stories.changing_shop import ChangingShop, Order, came, taken_back


@pytest.fixture
def shop(tmp_path: Path) -> ChangingShop:
    """Open a shop."""
    bound: dict[str, Any] = {
        "lake": InMemoryLake(),
        "engine": PolarsEngine(),
        "online_store": InMemoryOnlineStore(),
        "event_source": InMemoryEventSource(),
    }
    files = (f"sqlite:///{tmp_path}/l.db", tmp_path / "clock", tmp_path)
    return ChangingShop(Platform(Environment("t", tmp_path / "e.yaml", bound, *files)), tmp_path)


def test_rows_that_are_no_more_are_left_out(shop: ChangingShop, tmp_path: Path) -> None:
    """Of a deletion, of an arrival taken back, of an order that moved; what came back is there."""
    shop.at(10, came("f1", Order(1, 1, 2, 100), Order(2, 1, 5, 10), Order(3, 2, 4, 7)), came("g", Order(4, 3, 5, 1)))
    shop.at(20, came("f2", Order(2, gone=True), Order(3, 2, 6, 7)), taken_back("g"))
    shop.at(25, came("f3", Order(2, 1, 5, 20)))
    export(shop.platform, shop.team, tmp_path / "feast")
    rows = parquet.read_table(tmp_path / "feast/data/spending.parquet").to_pylist()
    assert {(row["customer"], row["event_timestamp"], row["spend"]) for row in rows} == {
        (1, at(2), 100.0),
        (1, at(5), 110.0),  # until it was deleted, as Feast has no word for the time between
        (1, at(5), 120.0),
        (2, at(6), 7.0),
    }
    shop.at(30, came("f4", Order(2, gone=True)))
    done = export(shop.platform, shop.team, tmp_path / "feast", again=True)
    rows = parquet.read_table(tmp_path / "feast/data/spending.parquet").to_pylist()
    assert {(row["customer"], row["event_timestamp"]) for row in rows} == {(1, at(2)), (2, at(6))}
    assert done[0].rows == len(rows) == 2
