"""Redis keeps the online store's promises: a real server, real processes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from platform_core.testing.online_store import OnlineStoreKit
from resources.redis.online_store import RedisOnlineStore


@pytest.fixture
def prefix() -> str:
    """Name a part of the server that no other test has."""
    return f"test-{uuid.uuid4().hex}[*]:"


@pytest.fixture
def store(redis_server: Any, prefix: str) -> Iterator[RedisOnlineStore]:
    """Open a store on an empty part of the server."""
    store = RedisOnlineStore(url=redis_server.url, prefix=prefix)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(redis_server: Any, prefix: str) -> Iterator[RedisOnlineStore]:
    """Open the same part again."""
    store = RedisOnlineStore(url=redis_server.url, prefix=prefix)
    yield store
    store.close()


class TestRedisOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""
