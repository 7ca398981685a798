"""A store that tenants share, as its tests run it.

Each store has a module in ``tests/tenants/stores`` with ``served``, which runs the real server and gives a ``Served``,
and with ``ATTEMPTS``: all that its makers know to try. The kit's subclass in ``tests/resources`` takes both from there
by ``OfServed``, and ``test_attempts.py`` makes each attempt a test of its own. A module whose store is slow to tell its
servers says in ``WITHIN_SECONDS`` how long that may take.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar
from unittest.mock import patch

import pytest

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.testing.tenant_store import Attempt, CutOff, Enter, Fields


def module_of(store: str) -> Any:
    """Import a store's module."""
    return importlib.import_module(f"tests.tenants.stores.{store}")


@dataclass(frozen=True)
class Served:
    """A running server's store; the other fields are the fixtures of the kit of the same names."""

    store: TenantStore
    enter: Enter
    ruler: Fields
    cut_off: Callable[[int], AbstractContextManager[None]]
    away: TenantStore
    powerless: TenantStore


@contextmanager
def cut_off_at(request: int, owner: object, *names: str) -> Iterator[None]:
    """Let what is asked by these methods, or functions of a module, fail from the n-th request on."""
    numbers = count(1)

    def counted(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*said: Any, **options: Any) -> Any:
            if next(numbers) >= request:
                raise CutOff
            return ask(*said, **options)

        return asked

    with ExitStack() as patched:
        for name in names:
            patched.enter_context(patch.object(owner, name, counted(getattr(owner, name))))
        yield


class OfServed:
    """The fixtures of the kit, of a test module's ``served``; of ``every`` attempt that its store knows two will do."""

    every: ClassVar[Sequence[Attempt]]

    @pytest.fixture
    def store(self, served: Served) -> TenantStore:
        """Ask as an administrator."""
        return served.store

    @pytest.fixture
    def enter(self, served: Served) -> Enter:
        """Come in as a tenant."""
        return served.enter

    @pytest.fixture
    def attempts(self) -> list[Attempt]:
        """Try two here; each of them is a test of its own in ``tests/tenants``."""
        return [self.every[0], next(one for one in self.every if one.ruling)]

    @pytest.fixture
    def ruler(self, served: Served) -> Fields:
        """Be an administrator."""
        return served.ruler

    @pytest.fixture
    def cut_off(self, served: Served) -> object:
        """Cut off at a request."""
        return served.cut_off

    @pytest.fixture
    def away(self, served: Served) -> TenantStore:
        """Ask where nobody listens."""
        return served.away

    @pytest.fixture
    def powerless(self, served: Served) -> TenantStore:
        """Ask as somebody who may come in and do nothing."""
        return served.powerless
