"""A store that tenants share, as its tests run it.

Each store has a module in ``tests/tenants/stores`` with ``served``, which runs the real server and gives a ``Served``,
and with ``ATTEMPTS``: all that its makers know to try. The kit's subclass in ``tests/resources`` takes both from there
by ``OfServed``, and ``test_attempts.py`` makes each attempt a test of its own. A module whose store is slow to tell its
servers says in ``WITHIN_SECONDS`` how long that may take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

import pytest

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.testing.tenant_store import Attempt, Enter, Fields


@dataclass(frozen=True)
class Served:
    """A running server's store; the other fields are the fixtures of the kit of the same names."""

    store: TenantStore
    enter: Enter
    ruler: Fields
    cut_off: Callable[[int], AbstractContextManager[None]]
    away: TenantStore
    powerless: TenantStore


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
