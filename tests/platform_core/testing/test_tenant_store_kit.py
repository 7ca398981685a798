"""The kit of stores that tenants share passes the fake and catches a mutant for each promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.testing.fakes.tenant_store import (
    RULER,
    InMemoryGuest,
    InMemoryTenantStore,
    MemoryServer,
    User,
    attempts,
)
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.platform_core.testing.tenant_store import MINE, THEIRS, Attempt, CutOff, Enter, Fields, TenantStoreKit
from tests.platform_core.testing.mutant import mutant, pairs, rescue

RULING: Fields = {"user": RULER, "password": RULER}


def entering(server: MemoryServer) -> Enter:
    """Return how one comes in there."""
    return lambda fields: InMemoryGuest(server, fields)


def cutting(server: MemoryServer) -> Callable[[int], AbstractContextManager[None]]:
    """Return how an administrator is cut off at a request."""

    @contextmanager
    def cut_off(request: int) -> Iterator[None]:
        asked = 0

        def before() -> None:
            nonlocal asked
            asked += 1
            if asked >= request:
                raise CutOff

        server.before = before
        try:
            yield
        finally:
            server.before = lambda: None

    return cut_off


class TestInMemoryTenantStore(TenantStoreKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def store(self) -> InMemoryTenantStore:
        return InMemoryTenantStore()

    @pytest.fixture
    def enter(self, store: InMemoryTenantStore) -> Enter:
        return entering(store.server)

    @pytest.fixture
    def attempts(self, store: InMemoryTenantStore) -> Sequence[Attempt]:
        return attempts(store.server)

    @pytest.fixture
    def ruler(self) -> Fields:
        return RULING

    @pytest.fixture
    def cut_off(self, store: InMemoryTenantStore) -> Callable[[int], AbstractContextManager[None]]:
        return cutting(store.server)

    @pytest.fixture
    def away(self) -> InMemoryTenantStore:
        """Make one that does not answer."""
        return InMemoryTenantStore(server=MemoryServer(is_gone=True))

    @pytest.fixture
    def powerless(self, store: InMemoryTenantStore) -> InMemoryTenantStore:
        """Ask the same as nobody."""
        return InMemoryTenantStore(server=store.server, is_ruler=False)


class StaysSuspended(InMemoryTenantStore):
    """Breaks promise 1: who was suspended is made again, and does not come in."""

    def create(self, tenant, password):
        was_open = self.is_open(tenant) or tenant not in self.server.users
        fields = super().create(tenant, password)
        self.server.users[tenant].is_open = was_open
        return fields


class NeverCompletes(InMemoryTenantStore):
    """Breaks promise 1: a user without a place stays without one."""

    def create(self, tenant, password):
        """Make the user first, and the place only where there was none."""
        if tenant in self.server.users:
            self._change(lambda: setattr(self.server.users[tenant], "password", password))
            return {"user": tenant, "password": password}
        self._change(lambda: self.server.users.setdefault(tenant, User(password)))
        return super().create(tenant, password)


class OneForAll(MemoryServer):
    """Breaks promise 2: whoever is in may go anywhere."""

    def place(self, fields, door, tenant):
        super().place(fields, door, fields["user"])
        return self.places[tenant]


class OneRoom(MemoryServer):
    """Breaks promise 2: a name with a path leads into another's place."""

    def place(self, fields, door, tenant):
        """Give a place whose names may be paths."""
        return _Paths(super().place(fields, door, tenant), self.places)


class _Paths(dict[str, str]):
    def __init__(self, own: dict[str, str], places: Mapping[str, dict[str, str]]) -> None:
        super().__init__(own)
        self.own, self.places = own, places

    def __getitem__(self, name: str) -> str:
        tenant, _, rest = name.removeprefix("../").partition("/")
        return self.places[tenant][rest] if rest else self.own[name]

    def __setitem__(self, name: str, text: str) -> None:
        self.own[name] = text


def leave_inside(_: Any, store: InMemoryTenantStore, tenant: str) -> None:
    """Close the door to those outside only."""
    if tenant in store.server.users:
        store.server.users[tenant].password += "-suspended"


class SuspendsOnlyOnce(InMemoryTenantStore):
    """Breaks promise 3: cut off after the first request, it thinks it is done."""

    def suspend(self, tenant):
        if self.server.places.get(tenant, {}).get("suspended"):
            return
        self._change(lambda: self.server.places[tenant].update(suspended="yes"))
        super().suspend(tenant)

    def resume(self, tenant):
        super().resume(tenant)
        self.server.places.get(tenant, {}).pop("suspended", None)


class DeletesOnce(InMemoryTenantStore):
    """Breaks promise 4: a second time is an error."""

    def delete(self, tenant):
        self._change(lambda: self.server.users.pop(tenant))
        super().delete(tenant)


def like(store: InMemoryTenantStore, beginning: str) -> list[str]:
    """Name the tenants whose names begin so."""
    return [name for name in store.server.places if name.startswith(beginning)]


def each(up: Any, names: Sequence[str]) -> None:
    """Delete several."""
    for name in names:
        up.delete(name)


def told(what: str) -> dict[str, Any]:
    """Make a store that tells of one kind of things only."""
    return {"holds": lambda up, _, tenant: tuple(name for name in up.holds(tenant) if name.startswith(what))}


made = partial(mutant, InMemoryTenantStore)
RaisesItsOwn = made("RaisesItsOwn", **rescue("_ask", LooplineError, lambda error, _: ConnectionError(str(error))))
"""Breaks what is raised: the client's error comes through."""
SaysNothing = made("SaysNothing", **rescue("_change", LooplineError, lambda *_: None))
"""Breaks what is raised: what could not be done is passed over."""

STORES = {
    "test_1_create_gives_a_place_of_its_own": [
        # what comes back is not what the vendor says
        made("ReturnsMore", create=lambda up, _, *given: {**up.create(*given), "ruler": "ruler"}),
    ],
    "test_1_made_again_it_loses_nothing": [
        # made again, the place is empty
        made("Forgets", create=lambda up, store, *given: store.delete(given[0]) or up.create(*given)),
        # whoever had the old password goes on with it
        made(
            "KeepsTheOldPassword",
            create=lambda up, store, tenant, new: up.create(tenant, store.server.users.get(tenant, User(new)).password),
        ),
    ],
    "test_1_made_again_it_is_open": [StaysSuspended],
    "test_1_cut_off_anywhere_it_is_completed": [NeverCompletes],
    "test_2_a_crafted_tenant_is_nobody_else": [
        # a crafted name is taken for a pattern
        made("MatchesPatterns", delete=lambda up, store, tenant: each(up, like(store, tenant.rstrip("*")))),
    ],
    "test_3_suspended_it_is_out": [
        # whoever is connected goes on
        made("LeavesThemInside", suspend=leave_inside),
        # nobody comes in again
        made("SuspendsForGood", resume=lambda *_: None),
    ],
    "test_3_cut_off_while_it_suspends": [SuspendsOnlyOnce],
    "test_4_deleted_all_of_it_is_gone": [
        # only the user is gone
        made(
            "LeavesThePlace",
            delete=lambda _, store, tenant: store._change(lambda: store.server.users.pop(tenant, None)),
        ),
        # those whose name begins like it go too
        made("DeletesByPrefix", delete=lambda up, store, tenant: each(up, like(store, tenant) or [tenant])),
    ],
    "test_4_cut_off_while_it_deletes": [
        # without the user the place is not found
        made("CannotGoOnDeleting", delete=lambda up, store, tenant: tenant in store.server.users and up.delete(tenant)),
    ],
    "test_5_all_of_it_is_named": [
        # an empty place is told, its user is not
        made("NamesNoUser", **told("text")),
        # it tells of users only, not of what lies there
        made("SaysItIsGone", **told("user")),
    ],
    "test_6_says_whether_it_may_come_in": [
        # suspended or not
        made("AlwaysOpen", is_open=lambda _, store, tenant: tenant in store.server.users),
    ],
    "test_7_what_is_stored_is_counted": [
        # what others store is counted too
        made("CountsEverybody", stored_bytes=lambda up, store, _tenant: sum(map(up.stored_bytes, store.server.places))),
        # a thing is one byte
        made("CountsNames", stored_bytes=lambda _, store, tenant: len(store.server.places.get(tenant, {}))),
    ],
}
MORE = {
    "MatchesPatterns": {"crafted": "retail*"},
    "LeavesThePlace": {"suspended": False},
    "DeletesByPrefix": {"suspended": True},
}
MUTANTS: list[tuple[str, type[InMemoryTenantStore], type[MemoryServer], dict[str, Any]]] = [
    ("test_2_nothing_of_anothers_is_reached", InMemoryTenantStore, OneForAll, {}),
    ("test_2_names_in_ones_own_place_lead_to_no_other", InMemoryTenantStore, OneRoom, {}),
    *((test, store, MemoryServer, MORE.get(store.__name__, {})) for store, test in pairs(STORES)),
]


@pytest.mark.parametrize(("test", "store", "server", "more"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_kit_catches(
    test: str, store: type[InMemoryTenantStore], server: type[MemoryServer], more: dict[str, Any]
) -> None:
    """Each breaks one promise, and the test of that promise fails."""
    mutant = store(server=server())
    given = {
        "store": mutant,
        "enter": entering(mutant.server),
        "attempts": attempts(mutant.server),
        "ruler": RULING,
        "cut_off": cutting(mutant.server),
        **more,
    }
    wanted = getattr(TenantStoreKit, test).__code__.co_varnames
    assert_catches(TenantStoreKit, test, **{name: value for name, value in given.items() if name in wanted})


def test_the_kit_catches_one_that_deletes_once() -> None:
    """Deleting twice is an error there."""
    mutant = DeletesOnce()
    with pytest.raises(KeyError):
        TenantStoreKit().cleared(mutant)


@pytest.mark.parametrize("store", [RaisesItsOwn, SaysNothing])
def test_the_kit_catches_what_raises_otherwise(store: type[InMemoryTenantStore]) -> None:
    """Another error than the contract's, or none."""
    kit, server = TenantStoreKit(), MemoryServer()
    with pytest.raises((pytest.fail.Exception, ConnectionError)):
        kit.test_errors_a_store_that_does_not_answer(store(server=MemoryServer(is_gone=True)))
    whole = InMemoryTenantStore(server=server)
    if store is SaysNothing:
        assert_catches(
            TenantStoreKit,
            "test_errors_credentials_that_do_not_suffice",
            store=whole,
            enter=entering(server),
            powerless=store(server=server, is_ruler=False),
        )


def test_the_kit_catches_an_attempt_that_tries_nothing() -> None:
    """One that cannot even come to one's own place shows nothing; nor does one that all may who should not."""
    store = InMemoryTenantStore()
    for attempt in (Attempt("nothing", lambda _, __: False), Attempt("all", lambda _, __: True, ruling=True)):
        with pytest.raises(AssertionError):
            TenantStoreKit().hold(attempt, store, entering(store.server), RULING)
    assert {MINE, THEIRS} <= set(store.server.users)
