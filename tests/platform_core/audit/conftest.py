"""A record with three checkpoints, two of them anchored, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopline.platform_core.audit import keys
from loopline.platform_core.audit.keys import SigningKey
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors
from tests.platform_core.audit.installation import Installation
from tests.platform_core.ledgers import new_ledger


@pytest.fixture(scope="session")
def key() -> SigningKey:
    """Make a key once."""
    return keys.new()


@pytest.fixture
def made(key: SigningKey) -> Iterator[Callable[[str], Installation]]:
    """Make installations: nine decisions, sealed three by three, the first six anchored; and one that waits."""
    opened: list[Ledger] = []

    def make(url: str) -> Installation:
        opened.append(Ledger.open(url))
        one = Installation(opened[-1], key, InMemoryAnchors())
        for anchored in (True, True, False):
            one.decide(3)
            one.seal(anchored=anchored)
        one.decide(1)
        return one

    yield make
    for ledger in opened:
        ledger.close()


@pytest.fixture
def record(url: str, made: Callable[[str], Installation]) -> Installation:
    """Make one on each database."""
    return made(url)


@pytest.fixture
def on_sqlite(tmp_path: Path, made: Callable[[str], Installation]) -> Installation:
    """Make one where it is quick."""
    return made(new_ledger(tmp_path))
