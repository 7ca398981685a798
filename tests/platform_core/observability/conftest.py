"""Ledgers to look at: an empty one on each database, and one of a thousand models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed, Quarantined
from loopline.platform_core.specs import Team
from loopline.stories.many_models import NOW, many_models, model


@pytest.fixture
def platform(url: str, tmp_path: Path) -> Iterator[Platform]:
    """Give a platform without vendors, its ledger empty, on each database."""
    ReplayClock(tmp_path / "clock").set(NOW)
    opened = Platform(Environment("test", tmp_path / "e.yaml", {}, url, tmp_path / "clock", tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def teams(tmp_path: Path) -> Installed:
    """Give a team of two models, and one that does not load."""
    shop = Team("shop", tmp_path, models=(model("late"), model("lost")))
    return Installed((shop,), (Quarantined("broken", "broken.py", 3, "SyntaxError"),))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Installed]]:
    """Give a thousand models in twenty teams, with a year behind them."""
    platform, teams = many_models(tmp_path_factory.mktemp("large"))
    yield platform, teams
    platform.close()
