"""Conformance kit of stores that tenants share.

Subclass ``TenantStoreKit`` and give these fixtures, all of one server that nobody else uses while a test runs:

- ``store``: asked with an administrator's credentials;
- ``enter``: comes in with what ``create`` returned and gives a ``Guest``;
- ``attempts``: every way that you know to come to a place; a store's own stand in ``ATTEMPTS`` of a module in
  ``tests/tenants/stores``, so that the table of all of them finds them too;
- ``ruler``: what an administrator has, in the form of what ``create`` returns, to show that an attempt that nobody may
  make can be made at all;
- ``cut_off``: within its block the store's n-th request to the server, and each after it, raises ``CutOff``;
- ``away``: the store, where nothing answers; ``powerless``: with credentials that are no administrator's.

A store that tells its servers of a change and does not wait for them says in ``within_seconds`` how long that may take.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

import pytest

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import LooplineError, Permanent, Transient

Fields = Mapping[str, str]
NOTE, TEXT = "note", "kept by its owner"
"""What lies in a place while an attempt is made on it: its name there, and what it says."""
MINE, THEIRS = "retail", "retail-two"
"""Whoever attempts, and on whom: one name begins with the other, which patterns and prefixes confuse."""
CRAFTED = (
    "", " ", ".", "..", "../retail-two", "retail/../retail-two", "retail%2f..%2fretail-two", "retail-two/",
    "/retail-two", "*", "retail*", "retail?two", "[r]etail-two", "%", "retail%", "retail_two", "______-two",
    "RETAIL-TWO", "Retail-two", "retail-two\n", "retail-two\x00", "retail-two ", "retail-two;", 'retail-two"',
    "retail-two'", "retail-two--", 'a";DROP SCHEMA "retail-two" CASCADE;--', "a';DROP ROLE \"retail-two\";--",
    "retail-two on >x ~* +@all", "retail-two\r\nFLUSHALL\r\n", "\u0433etail-two", "retail\u2010two",
    "retail-tw\u043e", "x" * 200, "$(id)", "{retail-two}",
)  # fmt: skip
"""Names that no tenant has, each of which some way of asking takes for another one's."""
_MOST_REQUESTS = 200


class CutOff(BaseException):
    """The process was killed here: no handler of errors may go on."""


class Guest(Protocol):
    """A tenant in a store. What it is refused its client raises, whatever that is; a name it has not, too."""

    def write(self, name: str, text: str) -> None:
        """Put a text into the own place, by a name in it."""

    def read(self, name: str) -> str:
        """Return what lies there by a name."""

    def close(self) -> None:
        """Leave."""


@dataclass(frozen=True)
class Attempt:
    """A way to come to a place, or to what rules it.

    ``act`` is given what one has, and whose place it is; it returns whether it came there, or raises. It is tried on
    one's own place as well, where it has to come there; what is an administrator's to do (``ruling``) with such a
    one's fields. ``NOTE`` lies in the place with ``TEXT``.
    """

    says: str
    act: Callable[[Fields, str], bool]
    ruling: bool = False


def comes_in(attempt: Attempt, fields: Fields, tenant: str) -> bool:
    """Say whether an attempt on a tenant's place comes there."""
    try:
        return attempt.act(fields, tenant)
    except Exception:  # noqa: BLE001 - whatever a client raises, it was refused
        return False


Enter = Callable[[Fields], Guest]
CutOffs = Callable[[int], AbstractContextManager[None]]


class TenantStoreKit:
    """Subclass it, give its fixtures; every test is one promise."""

    within_seconds: ClassVar[float] = 0

    @pytest.fixture(autouse=True)
    def _nobody(self, store: TenantStore) -> Iterator[None]:
        """Begin, and end, without tenants."""
        self.cleared(store)
        yield
        self.cleared(store)

    def cleared(self, store: TenantStore) -> None:
        """Remove whom these tests make."""
        for tenant in (MINE, THEIRS):
            store.delete(tenant)

    def test_1_create_gives_a_place_of_its_own(self, store: TenantStore, enter: Enter) -> None:
        """With the fields that the vendor names, each a text; two tenants' are not the same."""
        mine, theirs = made(store, MINE), made(store, THEIRS)
        assert set(mine) == set(store.fields)
        assert all(isinstance(value, str) and value for value in mine.values())
        assert mine != theirs
        for fields, text in ((mine, "mine"), (theirs, "theirs")):
            with guest(enter, fields) as one:
                one.write(NOTE, text)
        for fields, text in ((mine, "mine"), (theirs, "theirs")):
            with guest(enter, fields) as one:
                assert one.read(NOTE) == text

    def test_1_made_again_it_loses_nothing(self, store: TenantStore, enter: Enter) -> None:
        """Another password takes the old one's place, and what lies there stays."""
        old = made(store, MINE)
        with guest(enter, old) as one:
            one.write(NOTE, TEXT)
        held = store.holds(MINE)
        new = made(store, MINE)
        assert sorted(store.holds(MINE)) == sorted(held)
        with guest(enter, new) as one:
            assert one.read(NOTE) == TEXT
        self.soon(lambda: not _reads(enter, old))

    def test_1_made_again_it_is_open(self, store: TenantStore, enter: Enter) -> None:
        """Also who was suspended: with another password it comes in to all that it had."""
        self.furnished(store, enter, MINE)
        store.suspend(MINE)
        fields = made(store, MINE)
        assert store.is_open(MINE)
        self.soon(lambda: _reads(enter, fields))

    def test_1_cut_off_anywhere_it_is_completed(self, store: TenantStore, enter: Enter, cut_off: CutOffs) -> None:
        """By the same call once more: the state is that of one who was never cut off."""
        made(store, MINE)
        whole = sorted(store.holds(MINE))
        for request in _until_through(cut_off, partial(made, store, MINE), partial(store.delete, MINE)):
            assert store.holds(MINE) or not store.is_open(MINE), request
            fields = made(store, MINE)
            assert sorted(store.holds(MINE)) == whole, request
            assert _writes(enter, fields), request
            assert _reads(enter, fields), request

    def test_2_nothing_of_anothers_is_reached(
        self, store: TenantStore, enter: Enter, attempts: Sequence[Attempt], ruler: Fields
    ) -> None:
        """Each attempt comes to one's own place, or an administrator's to any, and never to another one's."""
        assert attempts
        for attempt in attempts:
            self.hold(attempt, store, enter, ruler)

    def hold(self, attempt: Attempt, store: TenantStore, enter: Enter, ruler: Fields) -> None:
        """Make one attempt, on one's own place and on another's, who notices nothing of it.

        Raises:
            AssertionError: it does not come to one's own place, so that it shows nothing; or it comes to another's.
        """
        mine, theirs = self.furnished(store, enter, MINE), self.furnished(store, enter, THEIRS)
        self.hold_of(attempt, store, enter, (mine, theirs, ruler))

    def hold_of(self, attempt: Attempt, store: TenantStore, enter: Enter, given: tuple[Fields, Fields, Fields]) -> None:
        """Make one attempt with the fields of ``MINE``, of ``THEIRS`` and an administrator's.

        Raises:
            AssertionError: as above.
        """
        mine, theirs, ruler = given
        assert not comes_in(attempt, mine, THEIRS), attempt.says
        self.unharmed(store, enter, theirs, attempt.says)
        assert comes_in(attempt, ruler if attempt.ruling else mine, MINE), f"this tries nothing: {attempt.says}"

    def test_2_names_in_ones_own_place_lead_to_no_other(self, store: TenantStore, enter: Enter) -> None:
        """Whatever a thing is called, it lies in the own place or nowhere."""
        mine, theirs = made(store, MINE), self.furnished(store, enter, THEIRS)
        with guest(enter, mine) as one:
            for name in [f"{name}{gap}{NOTE}" for name in (THEIRS, *CRAFTED) for gap in ("/", ".", ":")]:
                assert not _given(one, name), name
                with suppress(Exception):  # it may be no name at all
                    one.write(name, "mine")
        self.unharmed(store, enter, theirs, "crafted names")

    @pytest.mark.parametrize("crafted", CRAFTED)
    def test_2_a_crafted_tenant_is_nobody_else(self, store: TenantStore, enter: Enter, crafted: str) -> None:
        """Asked for one whose name means something to the store, it touches no other, and says of none that it is."""
        theirs = self.furnished(store, enter, THEIRS)
        held = sorted(store.holds(THEIRS))
        assert not _answer(partial(store.is_open, crafted))
        assert not _answer(partial(store.holds, crafted))
        assert not _answer(partial(store.stored_bytes, crafted))
        for act in (store.suspend, store.resume, partial(store.create, password="p" * 20), store.suspend, store.delete):
            _answer(partial(act, crafted))
        assert sorted(store.holds(THEIRS)) == held
        assert not _answer(partial(store.holds, crafted))
        self.unharmed(store, enter, theirs, crafted)

    def test_3_suspended_it_is_out(self, store: TenantStore, enter: Enter) -> None:
        """Also whoever was in already; others go on. Resumed it is in again, to all that lies there."""
        mine, theirs = self.furnished(store, enter, MINE), self.furnished(store, enter, THEIRS)
        with guest(enter, mine) as inside, guest(enter, theirs) as other:
            assert (inside.read(NOTE), other.read(NOTE)) == (TEXT, TEXT)
            for _ in range(2):
                store.suspend(MINE)
                self.soon(lambda: not _given(inside))
                self.soon(lambda: not _reads(enter, mine))
            assert other.read(NOTE) == TEXT
        for _ in range(2):
            store.resume(MINE)
            self.soon(lambda: _reads(enter, mine))

    def test_3_cut_off_while_it_suspends(self, store: TenantStore, enter: Enter, cut_off: CutOffs) -> None:
        """The same call once more ends it."""
        mine = self.furnished(store, enter, MINE)
        for _ in _until_through(cut_off, partial(store.suspend, MINE), partial(store.resume, MINE)):
            store.suspend(MINE)
            self.soon(lambda: not _reads(enter, mine))
            store.resume(MINE)
            self.soon(lambda: _reads(enter, mine))

    @pytest.mark.parametrize("suspended", [False, True])
    def test_4_deleted_all_of_it_is_gone(self, store: TenantStore, enter: Enter, suspended: bool) -> None:
        """Whoever is connected, suspended or not; made again it is empty, and others are as they were."""
        mine, theirs = self.furnished(store, enter, MINE), self.furnished(store, enter, THEIRS)
        held = sorted(store.holds(THEIRS))
        with guest(enter, mine) as inside:
            assert inside.read(NOTE) == TEXT
            if suspended:
                store.suspend(MINE)
            for _ in range(2):
                store.delete(MINE)
            self.soon(lambda: not _given(inside))
        self.soon(lambda: not _reads(enter, mine))
        assert sorted(store.holds(THEIRS)) == held
        self.unharmed(store, enter, theirs, "another was deleted")
        with guest(enter, made(store, MINE)) as anew:
            assert not _given(anew)

    def test_4_cut_off_while_it_deletes(self, store: TenantStore, enter: Enter, cut_off: CutOffs) -> None:
        """What is left is told, and the same call once more ends it."""
        furnish = partial(self.furnished, store, enter, MINE)
        for request in _until_through(cut_off, partial(store.delete, MINE), furnish):
            assert store.holds(MINE) or not store.is_open(MINE), request
            store.delete(MINE)
            assert store.holds(MINE) == (), request

    def test_5_all_of_it_is_named(self, store: TenantStore, enter: Enter) -> None:
        """The user and what lies there, of this tenant only; nothing before it is made and after it is deleted."""
        assert store.holds(MINE) == ()
        mine = made(store, MINE)
        empty = store.holds(MINE)
        assert empty
        with guest(enter, mine) as one:
            one.write("a-thing", TEXT)
        assert [name for name in store.holds(MINE) if "a-thing" in name]
        made(store, THEIRS)
        store.delete(MINE)
        assert store.holds(MINE) == ()
        assert store.holds(THEIRS)

    def test_6_says_whether_it_may_come_in(self, store: TenantStore) -> None:
        """Not before it is made, not while it is suspended, not after it is deleted."""
        assert not store.is_open(MINE)
        made(store, THEIRS)
        assert not store.is_open(MINE)
        made(store, MINE)
        assert store.is_open(MINE)
        for act, is_open in ((store.suspend, False), (store.resume, True), (store.delete, False)):
            act(MINE)
            assert store.is_open(MINE) == is_open
            assert store.is_open(THEIRS)

    def test_7_what_is_stored_is_counted(self, store: TenantStore, enter: Enter) -> None:
        """It grows by what is written, and stays while the tenant is suspended; of nobody it is nothing."""
        assert store.stored_bytes(MINE) == 0
        mine, _ = made(store, MINE), made(store, THEIRS)
        before, others = store.stored_bytes(MINE), store.stored_bytes(THEIRS)
        with guest(enter, mine) as one:
            for number in range(4):
                one.write(f"{NOTE}-{number}", secrets.token_urlsafe(75_000))
        self.soon(lambda: store.stored_bytes(MINE) >= before + 200_000)
        assert store.stored_bytes(THEIRS) < others + 100_000
        store.suspend(MINE)
        assert store.stored_bytes(MINE) >= before + 200_000

    def test_errors_a_store_that_does_not_answer(self, away: TenantStore) -> None:
        """It is worth another try, whatever was asked."""
        for ask in asking(away):
            with pytest.raises(Transient):
                ask()

    def test_errors_credentials_that_do_not_suffice(
        self, store: TenantStore, enter: Enter, powerless: TenantStore
    ) -> None:
        """What changes something says what they need, and nothing is changed."""
        mine = self.furnished(store, enter, MINE)
        for ask in asking(powerless)[:4]:
            with pytest.raises(Permanent) as caught:
                ask()
            assert len(caught.value.fix) > 10
        assert store.is_open(MINE)
        assert _reads(enter, mine)

    def furnished(self, store: TenantStore, enter: Enter, tenant: str) -> Fields:
        """Make a tenant in whose place the note lies."""
        fields = made(store, tenant)
        with guest(enter, fields) as one:
            one.write(NOTE, TEXT)
        return fields

    def unharmed(self, store: TenantStore, enter: Enter, fields: Fields, what: str) -> None:
        """Expect the other tenant to be in, and the note to lie there as it was."""
        assert store.is_open(THEIRS), what
        with guest(enter, fields) as one:
            assert one.read(NOTE) == TEXT, what

    def soon(self, holds: Callable[[], bool]) -> None:
        """Expect something to hold, within the time that the vendor takes to tell its servers."""
        until = time.monotonic() + self.within_seconds
        while not (held := holds()) and time.monotonic() < until:
            time.sleep(0.05)
        assert held


def made(store: TenantStore, tenant: str) -> Fields:
    """Make a tenant with a password that nobody has."""
    return store.create(tenant, secrets.token_urlsafe(24))


@contextmanager
def guest(enter: Enter, fields: Fields) -> Iterator[Guest]:
    """Let a tenant in until the block ends."""
    one = enter(fields)
    try:
        yield one
    finally:
        with suppress(Exception):  # its connection may be ended already
            one.close()


def asking(store: TenantStore) -> list[Callable[[], object]]:
    """Return every question of the contract, those that change something first."""
    changing: list[Callable[[], object]] = [partial(store.create, MINE, "p" * 20)]
    changing += [partial(act, MINE) for act in _verbs(store)]
    return [*changing, *[partial(ask, MINE) for ask in (store.holds, store.is_open, store.stored_bytes)]]


def _verbs(store: TenantStore) -> tuple[Callable[[str], None], ...]:
    return store.suspend, store.resume, store.delete


def _until_through(cut_off: CutOffs, act: Callable[[], object], again: Callable[[], object]) -> Iterator[int]:
    """Cut an act off at its first request, at its second and so on, until it comes through, which ends it.

    It is begun from what ``again`` makes, which the caller or this makes after each.
    """
    for request in range(1, _MOST_REQUESTS):
        again()
        try:
            with cut_off(request):
                act()
        except CutOff:
            yield request
        else:
            assert request > 1, "nothing was cut off"
            return
    raise AssertionError(f"it is not through after {_MOST_REQUESTS} requests")


def _given(one: Guest, name: str = NOTE) -> bool:
    try:
        return one.read(name) == TEXT
    except Exception:  # noqa: BLE001 - whatever a client raises, it was refused
        return False


def _reads(enter: Enter, fields: Fields) -> bool:
    try:
        with guest(enter, fields) as one:
            return one.read(NOTE) == TEXT
    except Exception:  # noqa: BLE001 - it may not even come in
        return False


def _writes(enter: Enter, fields: Fields) -> bool:
    try:
        with guest(enter, fields) as one:
            one.write(NOTE, TEXT)
    except Exception:  # noqa: BLE001 - it may not even come in
        return False
    return True


def _answer(ask: Callable[[], object]) -> object:
    """Return what a store answers, or None where it refuses as the contract says it may."""
    try:
        return ask()
    except LooplineError:
        return None
