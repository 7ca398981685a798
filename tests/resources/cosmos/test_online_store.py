"""Cosmos DB keeps the online store's promises: on a strict fake of its gateway, by Microsoft's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.platform_core.testing.online_store import OnlineStoreKit
from loopline.resources.cosmos.online_store import CosmosOnlineStore
from tests.emulators.cosmos_fake import CosmosFake, running


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CosmosFake]:
    """Run an account of this test's own, whose managed identity this process has."""
    with running(tmp_path) as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def store(fake: CosmosFake) -> Iterator[CosmosOnlineStore]:
    """Open a store."""
    store = CosmosOnlineStore(endpoint=fake.url, timeout_seconds=30)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(fake: CosmosFake) -> Iterator[CosmosOnlineStore]:
    """Open it again."""
    store = CosmosOnlineStore(endpoint=fake.url, timeout_seconds=30)
    yield store
    store.close()


class TestCosmosOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""
