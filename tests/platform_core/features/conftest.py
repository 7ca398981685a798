"""A team to register, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.engine_tables import put_contract
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.polars.engine import PolarsEngine
from loopline.stories.registered_team import RegisteredTeam


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return request.getfixturevalue("new_database")()


@pytest.fixture
def open_platform(url: str, tmp_path: Path) -> Iterator[Callable[[], Platform]]:
    """Give a function that opens the platform on the database, as another process would."""
    opened = []
    bindings = {"engine": PolarsEngine(), "registry": InMemoryRegistry(), "serving": InMemoryServing()}
    put_contract(tmp_path / "orders.yaml")

    def make() -> Platform:
        opened.append(Platform(Environment("test", tmp_path / "t.yaml", bindings, url, tmp_path / "clock", tmp_path)))
        return opened[-1]

    yield make
    for platform in opened:
        platform.close()


@pytest.fixture
def registered_team(open_platform: Callable[[], Platform], tmp_path: Path) -> RegisteredTeam:
    """Give a team of which nothing is registered yet."""
    given = RegisteredTeam(open_platform(), tmp_path)
    given.later()
    return given
