"""A platform on each database, with two notifiers in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.notifier import InMemoryNotifier


def titles(notifier: InMemoryNotifier) -> list[str]:
    """Return the first lines of what was delivered."""
    return [text.splitlines()[0] for _, text in notifier.inbox]


@pytest.fixture
def day() -> InMemoryNotifier:
    """A notifier that is told everything."""
    return InMemoryNotifier(name="day", cooldown_minutes=60, daily_budget=5)


@pytest.fixture
def night() -> InMemoryNotifier:
    """A notifier that is told only what to get up for, of one team."""
    return InMemoryNotifier(name="night", at_least="error", teams=("retail",))


@pytest.fixture
def platform(url: str, tmp_path: Path, day: InMemoryNotifier, night: InMemoryNotifier) -> Iterator[Platform]:
    """A platform of ledger and notifiers."""
    bound = Environment("test", tmp_path / "test.yaml", {}, url, None, tmp_path, notifiers={"day": day, "night": night})
    opened = Platform(bound)
    yield opened
    opened.close()
