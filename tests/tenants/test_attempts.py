"""What can be tried on stores, each attempt of each store a test: it comes to one's own place and to nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from loopline.platform_core.testing.tenant_store import MINE, NOTE, TEXT, THEIRS, Attempt, Fields, TenantStoreKit, guest
from tests.tenants.served import Served, module_of

STORES = sorted(file.stem for file in Path(__file__).parent.joinpath("stores").glob("[a-z]*.py"))
EVERY = [(store, one) for store in STORES for one in module_of(store).ATTEMPTS]


@dataclass
class Two:
    """Two tenants of a store that runs."""

    served: Served
    kit: TenantStoreKit
    mine: Fields
    theirs: Fields

    def mend(self) -> None:
        """Let the note lie in one's own place again, whatever an attempt made of that."""
        try:
            with guest(self.served.enter, self.mine) as one:
                one.write(NOTE, TEXT)
        except Exception:  # noqa: BLE001 - an attempt may have removed it all
            self.mine = self.kit.furnished(self.served.store, self.served.enter, MINE)


@pytest.fixture(scope="module")
def stores(running: Callable[[str], Served]) -> Callable[[str], Two]:
    """Give a function that runs a store and makes its tenants, once."""

    @cache
    def run(store: str) -> Two:
        served, kit = running(store), TenantStoreKit()
        kit.within_seconds = getattr(module_of(store), "WITHIN_SECONDS", 0)  # type: ignore[misc]
        mine, theirs = (kit.furnished(served.store, served.enter, tenant) for tenant in (MINE, THEIRS))
        return Two(served, kit, mine, theirs)

    return run


@pytest.mark.parametrize(("store", "attempt"), EVERY, ids=[f"{store}: {one.says}" for store, one in EVERY])
def test_it_comes_to_ones_own_place_only(stores: Callable[[str], Two], store: str, attempt: Attempt) -> None:
    """The other's note is there as it was, and so is its login."""
    two = stores(store)
    try:
        given = (two.mine, two.theirs, two.served.ruler)
        two.kit.hold_of(attempt, two.served.store, two.served.enter, given)
    finally:
        two.mend()


def test_no_two_attempts_are_one() -> None:
    """Each says something of its own."""
    assert len({(store, one.says) for store, one in EVERY}) == len(EVERY) >= 90
