"""The kit of secrets passes the fake, and catches a store that breaks any one promise."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from pydantic import SecretStr

from loopline.platform_core.contracts.secrets import Secrets
from loopline.platform_core.errors import ContractBroken, NotFound, Refused, StoreUnavailable, Transient
from loopline.platform_core.testing.fakes.secrets import InMemorySecrets, Mood
from loopline.platform_core.testing.mutants import assert_catches
from loopline.platform_core.testing.secrets import CERTIFICATE, VALUE, SecretsServerKit


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


class Strips(InMemorySecrets):
    """Breaks promise 1: blanks at the ends are gone."""

    def current(self, name: str) -> str | bytes:
        value = super().current(name)
        return value.strip() if isinstance(value, str) else value


class OneLine(InMemorySecrets):
    """Breaks promise 1: the last line break is gone."""

    def current(self, name: str) -> str | bytes:
        value = super().current(name)
        return value.removesuffix("\n") if isinstance(value, str) else value


class GivesText(InMemorySecrets):
    """Breaks promise 1: what is given shows itself."""

    def read(self, name: str, field: str = "") -> Any:
        return super().read(name, field).get_secret_value()


class GivesNothing(InMemorySecrets):
    """Breaks promise 1: nothing is given as if it were a password."""

    def read(self, name: str, field: str = "") -> SecretStr:
        return SecretStr("") if self.kept.get(name) == b"" else super().read(name, field)


class Guesses(InMemorySecrets):
    """Breaks promise 1: bytes that are no text are made one."""

    def current(self, name: str) -> str | bytes:
        value = super().current(name)
        return value.decode(errors="replace") if isinstance(value, bytes) else value


class Completes(InMemorySecrets):
    """Breaks promise 2: the beginning of a name finds another's value."""

    def current(self, name: str) -> str | bytes:
        found = next((each for each in self.kept if name and each.startswith(name)), name)
        return super().current(found)


class Tidies(InMemorySecrets):
    """Breaks promise 2: a name that is none is made one."""

    def current(self, name: str) -> str | bytes:
        return super().current(name.strip())


class Walks(InMemorySecrets):
    """Breaks promise 2: a path leads to another secret."""

    def current(self, name: str) -> str | bytes:
        return super().current(name.rpartition("/")[2])


class Nameless(InMemorySecrets):
    """Breaks promise 2: nobody learns which name is not there."""

    def current(self, name: str) -> str | bytes:
        try:
            return super().current(name)
        except NotFound:
            raise NotFound("there is no such secret", "write it") from None


class Remembers(InMemorySecrets):
    """Breaks promise 2: a withdrawn secret's older value is given."""

    def current(self, name: str) -> str | bytes:
        return self.kept[name] if name in self._withdrawn else super().current(name)


class Keeps(InMemorySecrets):
    """Breaks promise 3: what was read once is given for ever."""

    def current(self, name: str) -> str | bytes:
        seen = self.__dict__.setdefault("seen", {})
        return seen.setdefault(name, super().current(name))


class WholeForField(InMemorySecrets):
    """Breaks promise 4: the whole secret is given for a field."""

    def read(self, name: str, field: str = "") -> SecretStr:
        return super().read(name)


class Rounds(InMemorySecrets):
    """Breaks promise 4: a number is not as it is written."""

    def read(self, name: str, field: str = "") -> SecretStr:
        value = super().read(name, field).get_secret_value()
        return SecretStr(value[:-1] if field == "rate" else value)


class FieldsOfNothing(InMemorySecrets):
    """Breaks promise 4: what is no object is given whole."""

    def read(self, name: str, field: str = "") -> SecretStr:
        try:
            return super().read(name, field)
        except ContractBroken:
            return super().read(name)


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


class Logs(InMemorySecrets):
    """Breaks promise 5: the log shows the value."""

    def current(self, name: str) -> str | bytes:
        value = super().current(name)
        logging.getLogger("loopline.secrets").debug("%s is %s", name, value)
        return value


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


class SwallowsRefusals(InMemorySecrets):
    """Breaks promise 6: whoever is not let in gets something empty."""

    def read(self, name: str, field: str = "") -> SecretStr:
        try:
            return super().read(name, field)
        except Refused:
            return SecretStr("")


class NotThere(InMemorySecrets):
    """Breaks promise 6: whoever is not let in is told to write the secret."""

    def current(self, name: str) -> str | bytes:
        try:
            return super().current(name)
        except Refused:
            raise NotFound(f"no {name}", "write it") from None


class GivesUp(InMemorySecrets):
    """Breaks promise 7: a store that is away is given up for good."""

    def current(self, name: str) -> str | bytes:
        try:
            return super().current(name)
        except Transient as error:
            raise Refused(error.problem, error.fix) from None


class Waits(InMemorySecrets):
    """Breaks promise 7: a store that is away holds everything up."""

    def current(self, name: str) -> str | bytes:
        try:
            return super().current(name)
        except Transient:
            time.sleep(3 * self.timeout_seconds + 1.1)
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


@pytest.mark.parametrize(
    ("mutant", "test", "more"),
    [
        (Strips, "test_1_gives_the_value_character_for_character", {"value": "  blanks  "}),
        (OneLine, "test_1_gives_the_value_character_for_character", {"value": CERTIFICATE}),
        (GivesText, "test_1_gives_the_value_character_for_character", {"value": VALUE}),
        (GivesNothing, "test_1_what_is_no_text_is_told", {"value": b""}),
        (Guesses, "test_1_what_is_no_text_is_told", {"value": b"\xff"}),
        (Completes, "test_2_a_name_that_is_not_there", {}),
        (Tidies, "test_2_a_name_that_is_not_there", {}),
        (Walks, "test_2_a_name_that_is_not_there", {}),
        (Nameless, "test_2_a_name_that_is_not_there", {}),
        (Remembers, "test_2_what_was_withdrawn_is_not_given", {}),
        (Keeps, "test_3_a_changed_secret_is_read_anew", {}),
        (WholeForField, "test_4_a_field_of_a_json_object", {}),
        (Rounds, "test_4_a_field_of_a_json_object", {}),
        (FieldsOfNothing, "test_4_what_is_no_object_has_no_field", {"value": VALUE}),
        (Tells, "test_5_no_value_shows", {}),
        (Chains, "test_5_no_value_shows", {}),
        (Logs, "test_5_no_value_shows", {}),
        (Shows, "test_5_no_value_shows", {}),
        (Pickles, "test_5_no_value_shows", {}),
        (SwallowsRefusals, "test_6_an_identity_that_is_not_let_in", {}),
        (NotThere, "test_6_an_identity_that_is_not_let_in", {}),
        (GivesUp, "test_7_a_store_that_does_not_answer", {"mood": "busy"}),
        (Waits, "test_7_a_store_that_does_not_answer", {"mood": "silent"}),
        (StaysAway, "test_7_a_store_that_does_not_answer", {"mood": "gone"}),
        (GivesUp, "test_7_a_store_that_never_answered", {"mood": "gone"}),
    ],
)
def test_the_kit_catches(
    mutant: type[InMemorySecrets], test: str, more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Each promise's test fails on a store that breaks that promise."""
    store = mutant(timeout_seconds=0.1)
    fixtures = more | ({"caplog": caplog} if "shows" in test else {})
    assert_catches(SecretsServerKit, test, secrets=store, keeper=InMemoryKeeper(store), **fixtures)
