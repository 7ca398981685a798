"""A world of two tenants, once for all files here: what a test changes it puts right again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from argon2 import PasswordHasher

from loopline.platform_core.identity import accounts
from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from tests.tenants.served import Served, module_of
from tests.tenants.stores import postgres
from tests.tenants.world import World
from tests.tenants.world import world as of_stores


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    """Run PostgreSQL; nobody is there yet."""
    with postgres.served() as made:
        yield made


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[str], Served]]:
    """Give a function that runs a store by its module's name, once for all files here."""
    with ExitStack() as opened:
        yield cache(lambda store: opened.enter_context(module_of(store).served()))


@pytest.fixture(scope="session")
def world(server: Served) -> Iterator[World]:
    """Make both tenants."""
    with of_stores(server) as made:
        for tenant in (MINE, THEIRS):
            made.made(tenant)
        yield made


@pytest.fixture(scope="session", autouse=True)
def _quickly() -> Iterator[None]:
    """Hash passwords of people in no time."""
    with pytest.MonkeyPatch.context() as patched:
        cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        patched.setattr(accounts, "hasher", lambda: cheap)
        yield
