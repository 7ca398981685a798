"""Shops whose data changes its mind, on the engine that a test names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.spark_cluster import SMALL
from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.event_source import InMemoryEventSource
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.pyspark.engine import PysparkEngine
from loopline.stories.changing_shop import ChangingShop
from tests.platform_core.ledgers import new_ledger

Opened = Callable[..., ChangingShop]


@pytest.fixture(scope="module")
def pyspark() -> PysparkEngine:
    """Make the engine; its session is one for all."""
    return PysparkEngine(options=SMALL | {"spark.sql.shuffle.partitions": "1"})


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Open shops; each has a folder of its own."""
    count = iter(range(10_000))

    def of(streams: bool = False, **bindings: Any) -> ChangingShop:
        folder = tmp_path / str(next(count))
        folder.mkdir()
        bound = {
            "lake": InMemoryLake(),
            "engine": PolarsEngine(),
            "online_store": InMemoryOnlineStore(),
            "event_source": InMemoryEventSource(),
            "event_stream": InMemoryEventStream(),
            **bindings,
        }
        files = (new_ledger(folder), folder / "clock", folder)
        return ChangingShop(Platform(Environment("t", folder / "e.yaml", bound, *files)), folder, streams)

    return of
