"""Firestore keeps the online store's promises: on a strict fake of its server, by Google's own client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopline.platform_core.testing.online_store import OnlineStoreKit
from loopline.resources.firestore.online_store import FirestoreOnlineStore
from tests.emulators.firestore_fake import FirestoreFake


@pytest.fixture
def fake() -> Iterator[FirestoreFake]:
    """Run a server of this test's own."""
    server = FirestoreFake()
    yield server
    server.stop()


@pytest.fixture
def store(fake: FirestoreFake) -> Iterator[FirestoreOnlineStore]:
    """Open a store."""
    store = FirestoreOnlineStore(project="kit", endpoint=fake.endpoint, timeout_seconds=30)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(fake: FirestoreFake) -> Iterator[FirestoreOnlineStore]:
    """Open it again."""
    store = FirestoreOnlineStore(project="kit", endpoint=fake.endpoint, timeout_seconds=30)
    yield store
    store.close()


class TestFirestoreOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""
