"""A team to register, on each database; and shops that have sold nothing, on real vendors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Model, Team
from loopline.platform_core.testing.engines.engine_tables import large_order, put_contract
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.registered_team import RegisteredTeam
from loopline.stories.shop import Shop
from tests.platform_core.ledgers import new_ledger


class Interrupted(DeltaLake):
    """A lake in which something may happen right before the next append of features."""

    before: Callable[[], Any] | None = None

    def append(self, table: str, rows: pa.Table, transactions: Any = None, after: Any = None) -> int:
        """Let it happen first."""
        before, self.before = (self.before, None) if "/features/" in table else (None, self.before)
        if before is not None:
            before()
        return super().append(table, rows, transactions, after)


@pytest.fixture
def platform_of(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Give a function that opens a platform on Delta and SQLite, or on what it is told instead."""
    opened = []

    def make(url: str = "", **bindings: Any) -> Platform:
        bound = {
            "lake": Interrupted(root=str(tmp_path / "lake")),
            "engine": PolarsEngine(),
            "online_store": SqliteOnlineStore(path=str(tmp_path / "online.db")),
            **bindings,
        }
        files = tmp_path / "e.yaml", bound, url or new_ledger(tmp_path), tmp_path / "clock", tmp_path
        opened.append(Platform(Environment("test", *files)))
        return opened[-1]

    yield make
    for platform in opened:
        platform.close()


@pytest.fixture
def shop_of(platform_of: Callable[..., Platform], tmp_path: Path) -> Callable[..., Shop]:
    """Give a function that opens a shop with views of its one model, which has sold nothing."""
    put_contract(tmp_path / "orders.yaml")

    def make(*views: FeatureView, **bindings: Any) -> Shop:
        model = Model("large", views, large_order, fit=lambda *_: None)  # type: ignore[arg-type,return-value]
        return Shop(platform_of(**bindings), Team("shop", tmp_path, (model,)))

    return make


@pytest.fixture
def open_platform(url: str, platform_of: Callable[..., Platform], tmp_path: Path) -> Callable[[], Platform]:
    """Give a function that opens the platform on the database, as another process would."""
    put_contract(tmp_path / "orders.yaml")
    return partial(platform_of, url, registry=InMemoryRegistry(), serving=InMemoryServing())


@pytest.fixture
def shop(open_platform: Callable[[], Platform], tmp_path: Path) -> RegisteredTeam:
    """Give a team of which nothing is registered yet."""
    given = RegisteredTeam(open_platform(), tmp_path)
    given.later()
    return given
