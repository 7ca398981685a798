"""The kit of stores that tenants share passes the fake and catches a mutant for each promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
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
from loopline.platform_core.testing.mutants import assert_catches
from loopline.platform_core.testing.tenant_store import MINE, THEIRS, Attempt, CutOff, Enter, Fields, TenantStoreKit

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
        """Make one without tenants."""
        return InMemoryTenantStore()

    @pytest.fixture
    def enter(self, store: InMemoryTenantStore) -> Enter:
        """Come in there."""
        return entering(store.server)

    @pytest.fixture
    def attempts(self, store: InMemoryTenantStore) -> Sequence[Attempt]:
        """Try all that can be tried."""
        return attempts(store.server)

    @pytest.fixture
    def ruler(self) -> Fields:
        """Be an administrator."""
        return RULING

    @pytest.fixture
    def cut_off(self, store: InMemoryTenantStore) -> Callable[[int], AbstractContextManager[None]]:
        """Cut an administrator off."""
        return cutting(store.server)

    @pytest.fixture
    def away(self) -> InMemoryTenantStore:
        """Make one that does not answer."""
        return InMemoryTenantStore(server=MemoryServer(is_gone=True))

    @pytest.fixture
    def powerless(self, store: InMemoryTenantStore) -> InMemoryTenantStore:
        """Ask the same as nobody."""
        return InMemoryTenantStore(server=store.server, is_ruler=False)


class Forgets(InMemoryTenantStore):
    """Breaks promise 1: made again, the place is empty."""

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Begin anew."""
        self.delete(tenant)
        return super().create(tenant, password)


class KeepsTheOldPassword(InMemoryTenantStore):
    """Breaks promise 1: whoever had the old password goes on with it."""

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Take the password that is there."""
        there = self.server.users.get(tenant, User(password)).password
        return super().create(tenant, there)


class StaysSuspended(InMemoryTenantStore):
    """Breaks promise 1: who was suspended is made again, and does not come in."""

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Leave the door as it is."""
        was_open = self.is_open(tenant) or tenant not in self.server.users
        fields = super().create(tenant, password)
        self.server.users[tenant].is_open = was_open
        return fields


class NeverCompletes(InMemoryTenantStore):
    """Breaks promise 1: a user without a place stays without one."""

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Make the user first, and the place only where there was none."""
        if tenant in self.server.users:
            self._change(lambda: setattr(self.server.users[tenant], "password", password))
            return {"user": tenant, "password": password}
        self._change(lambda: self.server.users.setdefault(tenant, User(password)))
        return super().create(tenant, password)


class ReturnsMore(InMemoryTenantStore):
    """Breaks promise 1: what comes back is not what the vendor says."""

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Return the administrator's too."""
        return {**super().create(tenant, password), "ruler": "ruler"}


class OneForAll(MemoryServer):
    """Breaks promise 2: whoever is in may go anywhere."""

    def place(self, fields: Fields, door: int, tenant: str) -> dict[str, str]:
        """Ask for a user only."""
        super().place(fields, door, fields["user"])
        return self.places[tenant]


class OneRoom(MemoryServer):
    """Breaks promise 2: a name with a path leads into another's place."""

    def place(self, fields: Fields, door: int, tenant: str) -> dict[str, str]:
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


class MatchesPatterns(InMemoryTenantStore):
    """Breaks promise 2: a crafted name is taken for a pattern."""

    def delete(self, tenant: str) -> None:
        """Remove all that it fits."""
        for name in [*self.server.places]:
            if name.startswith(tenant.rstrip("*")):
                super().delete(name)


class LeavesThemInside(InMemoryTenantStore):
    """Breaks promise 3: whoever is connected goes on."""

    def suspend(self, tenant: str) -> None:
        """Close the door to those outside only."""
        if tenant in self.server.users:
            self.server.users[tenant].password += "-suspended"


class SuspendsForGood(InMemoryTenantStore):
    """Breaks promise 3: nobody comes in again."""

    def resume(self, tenant: str) -> None:
        """Do nothing."""


class SuspendsOnlyOnce(InMemoryTenantStore):
    """Breaks promise 3: cut off after the first request, it thinks it is done."""

    def suspend(self, tenant: str) -> None:
        """Look whether somebody was here before."""
        if self.server.places.get(tenant, {}).get("suspended"):
            return
        self._change(lambda: self.server.places[tenant].update(suspended="yes"))
        super().suspend(tenant)

    def resume(self, tenant: str) -> None:
        """Take the mark away."""
        super().resume(tenant)
        self.server.places.get(tenant, {}).pop("suspended", None)


class LeavesThePlace(InMemoryTenantStore):
    """Breaks promise 4: only the user is gone."""

    def delete(self, tenant: str) -> None:
        """Remove half."""
        self._change(lambda: self.server.users.pop(tenant, None))


class DeletesOnce(InMemoryTenantStore):
    """Breaks promise 4: a second time is an error."""

    def delete(self, tenant: str) -> None:
        """Want it to be there."""
        self._change(lambda: self.server.users.pop(tenant))
        super().delete(tenant)


class DeletesByPrefix(InMemoryTenantStore):
    """Breaks promise 4: those whose name begins like it go too."""

    def delete(self, tenant: str) -> None:
        """Remove all that begin so."""
        for name in [each for each in self.server.places if each.startswith(tenant)] or [tenant]:
            super().delete(name)


class CannotGoOnDeleting(InMemoryTenantStore):
    """Breaks promise 4: without the user the place is not found."""

    def delete(self, tenant: str) -> None:
        """Look for the user first."""
        if tenant in self.server.users:
            super().delete(tenant)


class NamesNoUser(InMemoryTenantStore):
    """Breaks promise 5: an empty place is told, its user is not."""

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name what lies there."""
        return tuple(name for name in super().holds(tenant) if name.startswith("text"))


class SaysItIsGone(InMemoryTenantStore):
    """Breaks promise 5: it tells of users only, not of what lies there."""

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name the user."""
        return tuple(name for name in super().holds(tenant) if name.startswith("user"))


class AlwaysOpen(InMemoryTenantStore):
    """Breaks promise 6: suspended or not."""

    def is_open(self, tenant: str) -> bool:
        """Look whether there is one."""
        return tenant in self.server.users


class CountsEverybody(InMemoryTenantStore):
    """Breaks promise 7: what others store is counted too."""

    def stored_bytes(self, tenant: str) -> int:
        """Count all."""
        return sum(super(CountsEverybody, self).stored_bytes(name) for name in self.server.places)


class CountsNames(InMemoryTenantStore):
    """Breaks promise 7: a thing is one byte."""

    def stored_bytes(self, tenant: str) -> int:
        """Count things."""
        return len(self.server.places.get(tenant, {}))


class RaisesItsOwn(InMemoryTenantStore):
    """Breaks what is raised: the client's error comes through."""

    def _ask(self) -> None:
        try:
            super()._ask()
        except LooplineError as error:
            raise ConnectionError(str(error)) from error


class SaysNothing(InMemoryTenantStore):
    """Breaks what is raised: what could not be done is passed over."""

    def _change(self, act: Callable[[], object]) -> None:
        try:
            super()._change(act)
        except LooplineError:
            return


MUTANTS: tuple[tuple[str, type[InMemoryTenantStore], type[MemoryServer], dict[str, Any]], ...] = (
    ("test_1_create_gives_a_place_of_its_own", ReturnsMore, MemoryServer, {}),
    ("test_1_made_again_it_loses_nothing", Forgets, MemoryServer, {}),
    ("test_1_made_again_it_loses_nothing", KeepsTheOldPassword, MemoryServer, {}),
    ("test_1_made_again_it_is_open", StaysSuspended, MemoryServer, {}),
    ("test_1_cut_off_anywhere_it_is_completed", NeverCompletes, MemoryServer, {}),
    ("test_2_nothing_of_anothers_is_reached", InMemoryTenantStore, OneForAll, {}),
    ("test_2_names_in_ones_own_place_lead_to_no_other", InMemoryTenantStore, OneRoom, {}),
    ("test_2_a_crafted_tenant_is_nobody_else", MatchesPatterns, MemoryServer, {"crafted": "retail*"}),
    ("test_3_suspended_it_is_out", LeavesThemInside, MemoryServer, {}),
    ("test_3_suspended_it_is_out", SuspendsForGood, MemoryServer, {}),
    ("test_3_cut_off_while_it_suspends", SuspendsOnlyOnce, MemoryServer, {}),
    ("test_4_deleted_all_of_it_is_gone", LeavesThePlace, MemoryServer, {"suspended": False}),
    ("test_4_deleted_all_of_it_is_gone", DeletesByPrefix, MemoryServer, {"suspended": True}),
    ("test_4_cut_off_while_it_deletes", CannotGoOnDeleting, MemoryServer, {}),
    ("test_5_all_of_it_is_named", NamesNoUser, MemoryServer, {}),
    ("test_5_all_of_it_is_named", SaysItIsGone, MemoryServer, {}),
    ("test_6_says_whether_it_may_come_in", AlwaysOpen, MemoryServer, {}),
    ("test_7_what_is_stored_is_counted", CountsEverybody, MemoryServer, {}),
    ("test_7_what_is_stored_is_counted", CountsNames, MemoryServer, {}),
)


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
