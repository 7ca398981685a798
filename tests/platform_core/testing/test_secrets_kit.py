"""The kit of secrets passes the fake, and catches a store that breaks any one promise."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from loopline.platform_core.contracts.secrets import Secrets
from loopline.platform_core.errors import ContractBroken, NotFound, Refused, StoreUnavailable, Transient
from loopline.platform_core.testing.fakes.secrets import InMemorySecrets, Mood
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.platform_core.testing.secrets import CERTIFICATE, VALUE, SecretsServerKit
from tests.platform_core.testing.mutant import mutant, pairs, rescue


class InMemoryKeeper:
    """Writes into the fake."""

    def __init__(self, store: InMemorySecrets) -> None:
        self.store = store

    def name(self, word: str) -> str:
        return word

    def put(self, name: str, value: str) -> None:
        self.store.put(name, value)

    def put_bytes(self, name: str, value: bytes) -> bool:
        self.store.put(name, value)
        return True

    def withdraw(self, name: str) -> None:
        self.store.withdraw(name)

    def feel(self, mood: Mood) -> None:
        self.store.feel(mood)


class TestFake(SecretsServerKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def secrets(self) -> InMemorySecrets:
        return InMemorySecrets(timeout_seconds=0.1)

    @pytest.fixture
    def keeper(self, secrets: InMemorySecrets) -> InMemoryKeeper:
        return InMemoryKeeper(secrets)


def of(kind: type[str | bytes], change: Any) -> dict[str, Any]:
    """Make a store that changes the texts, or the bytes, that it holds."""

    def current(up: Any, _: Any, name: str) -> str | bytes:
        value = up.current(name)
        return change(value) if isinstance(value, kind) else value

    return {"current": current}


class Logs(InMemorySecrets):
    """Breaks promise 5: the log shows the value."""

    def current(self, name: str) -> str | bytes:
        value = super().current(name)
        logging.getLogger("loopline.secrets").debug("%s is %s", name, value)
        return value


class Rounds(InMemorySecrets):
    """Breaks promise 4: a number is not as it is written."""

    def read(self, name: str, field: str = "") -> SecretStr:
        value = super().read(name, field).get_secret_value()
        return SecretStr(value[:-1] if field == "rate" else value)


class Tells(InMemorySecrets):
    """Breaks promise 5: the error shows the value."""

    def read(self, name: str, field: str = "") -> SecretStr:
        try:
            return super().read(name, field)
        except (NotFound, ContractBroken) as error:
            raise type(error)(f"{error.problem} in {self.kept.get(name)!s}", error.fix) from None


class Chains(InMemorySecrets):
    """Breaks promise 5: the error behind the error shows the value."""

    def read(self, name: str, field: str = "") -> SecretStr:
        try:
            return super().read(name, field)
        except (NotFound, ContractBroken) as error:
            raise type(error)(error.problem, error.fix) from ValueError(self.kept.get(name))


class Shows(InMemorySecrets):
    """Breaks promise 5: the store written out shows what was read last."""

    last: str = ""

    def current(self, name: str) -> str | bytes:
        value = super().current(name)
        self.last = str(value)
        return value


class Pickles(InMemorySecrets):
    """Breaks promise 5: the value travels with the store."""

    def __getstate__(self) -> dict[str, object]:
        """Leave what is kept in."""
        return Secrets.__getstate__(self)


class Waits(InMemorySecrets):
    """Breaks promise 7: a store that is away holds everything up."""

    def current(self, name: str) -> str | bytes:
        try:
            return super().current(name)
        except Transient:
            time.sleep(3 * self.timeout_seconds + 1.1)  # longer than the kit allows
            raise


class StaysAway(InMemorySecrets):
    """Breaks promise 7: once away is away for ever."""

    def current(self, name: str) -> str | bytes:
        try:
            return super().current(name)
        except Transient:
            self.__dict__["gone"] = True
            raise
        finally:
            if self._mood == "well" and self.__dict__.get("gone"):
                raise StoreUnavailable("it was away", "wait")


def completed(kept: Iterable[str], name: str) -> str:
    """Find a name that begins so."""
    return next((each for each in kept if name and each.startswith(name)), name)


made = partial(mutant, InMemorySecrets)
NOTHING = SecretStr("")
# a store that is away is given up for good
GivesUp = made("GivesUp", **rescue("current", Transient, lambda error, *_: Refused(error.problem, error.fix)))
CAUGHT = {
    "test_1_gives_the_value_character_for_character": [
        # blanks at the ends are gone
        made("Strips", **of(str, str.strip)),
        # the last line break is gone
        made("OneLine", **of(str, lambda text: text.removesuffix("\n"))),
        # what is given shows itself
        made("GivesText", read=lambda up, _, *named: up.read(*named).get_secret_value()),
    ],
    "test_1_what_is_no_text_is_told": [
        # nothing is given as if it were a password
        made("GivesNothing", read=lambda up, own, name: NOTHING if own.kept.get(name) == b"" else up.read(name)),
        # bytes that are no text are made one
        made("Guesses", **of(bytes, lambda value: value.decode(errors="replace"))),
    ],
    "test_2_a_name_that_is_not_there": [
        # the beginning of a name finds another's value
        made("Completes", current=lambda up, own, name: up.current(completed(own.kept, name))),
        # a name that is none is made one
        made("Tidies", current=lambda up, _, name: up.current(name.strip())),
        # a path leads to another secret
        made("Walks", current=lambda up, _, name: up.current(name.rpartition("/")[2])),
        # nobody learns which name is not there
        made("Nameless", **rescue("current", NotFound, lambda *_: NotFound("there is no such secret", "write it"))),
    ],
    "test_2_what_was_withdrawn_is_not_given": [
        # a withdrawn secret's older value is given
        made("Remembers", current=lambda up, own, n: own.kept[n] if n in own._withdrawn else up.current(n)),
    ],
    "test_3_a_changed_secret_is_read_anew": [
        # what was read once is given for ever
        made("Keeps", current=lambda up, own, name: own.__dict__.setdefault(f"seen {name}", up.current(name))),
    ],
    "test_4_a_field_of_a_json_object": [
        # the whole secret is given for a field
        made("WholeForField", read=lambda up, _, name, _field="": up.read(name)),
        Rounds,
    ],
    "test_4_what_is_no_object_has_no_field": [
        # what is no object is given whole
        made("FieldsOfNothing", **rescue("read", ContractBroken, lambda _, up, name, *_field: up.read(name))),
    ],
    "test_5_no_value_shows": [Tells, Chains, Logs, Shows, Pickles],
    "test_6_an_identity_that_is_not_let_in": [
        # whoever is not let in gets something empty
        made("SwallowsRefusals", **rescue("read", Refused, lambda *_: NOTHING)),
        # whoever is not let in is told to write the secret
        made("NotThere", **rescue("current", Refused, lambda _, _up, name: NotFound(f"no {name}", "write it"))),
    ],
    "test_7_a_store_that_does_not_answer": [GivesUp, Waits, StaysAway],
    "test_7_a_store_that_never_answered": [GivesUp],
}
VALUES = {"Strips": "  blanks  ", "OneLine": CERTIFICATE, "GivesText": VALUE, "FieldsOfNothing": VALUE}
VALUES |= {"GivesNothing": b"", "Guesses": b"\xff"}
MOODS = {"GivesUp": "busy", "Waits": "silent", "StaysAway": "gone"}


def tried(mutant: type[InMemorySecrets], test: str) -> dict[str, Any]:
    """Return the value, or the mood of the store, with which a mutant is tried."""
    if test == "test_7_a_store_that_never_answered":
        return {"mood": "gone"}
    known = {"value": VALUES, "mood": MOODS}
    return {what: by_name[mutant.__name__] for what, by_name in known.items() if mutant.__name__ in by_name}


@pytest.mark.parametrize(("mutant", "test", "more"), [(each, test, tried(each, test)) for each, test in pairs(CAUGHT)])
def test_the_kit_catches(
    mutant: type[InMemorySecrets], test: str, more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Each promise's test fails on a store that breaks that promise."""
    store = mutant(timeout_seconds=0.1)
    fixtures = more | ({"caplog": caplog} if "shows" in test else {})
    assert_catches(SecretsServerKit, test, secrets=store, keeper=InMemoryKeeper(store), **fixtures)
