"""Conformance kit of secret stores.

Subclass ``SecretsKit`` and give two fixtures: ``secrets`` (with ``timeout_seconds`` of at most 1) and ``keeper``, who
writes secrets into the same store. A store that is asked over a network is held to ``SecretsServerKit``: its keeper can
also make it refuse, be busy, be gone, and fall silent.
"""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections.abc import Callable
from typing import Literal, Protocol

import pytest
from pydantic import SecretStr

from loopline.platform_core import redaction
from loopline.platform_core.contracts.secrets import Secrets
from loopline.platform_core.errors import (
    ContractBroken,
    InvalidEnvironment,
    LooplineError,
    NotFound,
    Permanent,
    Refused,
    Transient,
)

Mood = Literal["well", "refuses", "busy", "gone", "silent"]
VALUE = "s3cret/öß@:%?#[]&= \"quoted\" 'and' $dollar {brace}"
OTHER = "0ther-value-of-another"
CERTIFICATE = "-----BEGIN-----\nabc\ndef\n-----END-----\n"


class Keeper(Protocol):
    """Whoever writes secrets."""

    def name(self, word: str) -> str:
        """Return a name that the store can have, made of a word of small letters and dashes; the same of the same."""

    def put(self, name: str, value: str) -> None:
        """Write a secret, or write it anew."""

    def put_bytes(self, name: str, value: bytes) -> bool:
        """Write bytes as they are; False where the store takes none."""

    def withdraw(self, name: str) -> None:
        """Delete a secret, or make it unreadable, as the store's people do."""


class ServerKeeper(Keeper, Protocol):
    """One whose store is a server."""

    def feel(self, mood: Mood) -> None:
        """Let the store answer so from now on."""


class SecretsKit:
    """One test a promise of ``Secrets``."""

    @pytest.mark.parametrize("value", [VALUE, "one line\n", CERTIFICATE, "  blanks  ", "x" * 20_000])
    def test_1_gives_the_value_character_for_character(self, secrets: Secrets, keeper: Keeper, value: str) -> None:
        """Blanks, line breaks, quotes and letters of all kinds are as they were written; nothing is cut."""
        name = keeper.name("exactly")
        keeper.put(name, value)
        given = secrets.read(name)
        assert isinstance(given, SecretStr)
        assert given.get_secret_value() == value

    @pytest.mark.parametrize("value", [b"\xff\xfe\x00", b""])
    def test_1_what_is_no_text_is_told(self, secrets: Secrets, keeper: Keeper, value: bytes) -> None:
        """Bytes that are no UTF-8 are no password, and neither is nothing: it is never given silently."""
        name = keeper.name("bytes")
        if not keeper.put_bytes(name, value):
            return  # the store itself takes no such bytes: there is nothing to give
        with pytest.raises(ContractBroken, match=name):
            secrets.read(name)

    def test_2_a_name_that_is_not_there(self, secrets: Secrets, keeper: Keeper) -> None:
        """It is told by its name, also where others begin or end like it, or a path would lead to another."""
        name, other = keeper.name("known"), keeper.name("known-other")
        keeper.put(name, VALUE)
        keeper.put(other, OTHER)
        missing = keeper.name("known-oth")
        with pytest.raises(NotFound, match=missing):
            secrets.read(missing)
        odd = ["", " ", f"{name} ", f"{name}/", f"{name}/../{other}", f"../{name}", f"{name}?version=1", f"{name}%2f.."]
        odd += [f"{name}\n", f"{name}\x00", f"/{name}", ".", "..", "*", f"{name[:-1]}*", name * 600]
        for each in odd:
            with pytest.raises((NotFound, InvalidEnvironment)):
                secrets.read(each)
        assert secrets.read(other).get_secret_value() == OTHER

    def test_2_what_was_withdrawn_is_not_given(self, secrets: Secrets, keeper: Keeper) -> None:
        """Neither its last value nor an older one."""
        name = keeper.name("withdrawn")
        keeper.put(name, OTHER)
        keeper.put(name, VALUE)
        assert secrets.read(name).get_secret_value() == VALUE
        keeper.withdraw(name)
        with pytest.raises(Permanent, match=name):
            secrets.read(name)

    def test_3_a_changed_secret_is_read_anew(self, secrets: Secrets, keeper: Keeper) -> None:
        """By the next read, each time."""
        name = keeper.name("rotated")
        for turn in range(4):
            keeper.put(name, f"value {turn}")
            assert secrets.read(name).get_secret_value() == f"value {turn}"

    def test_4_a_field_of_a_json_object(self, secrets: Secrets, keeper: Keeper) -> None:
        """A text as it is, a number as it is written; no other value is given in its place."""
        name = keeper.name("fields")
        keeper.put(
            name, '{"user": "ann", "password": "p@\\u00f6\\n", "port": 5432, "rate": 0.25, "none": null, "a": ""}'
        )
        expected = {"user": "ann", "password": "p@ö\n", "port": "5432", "rate": "0.25"}
        assert {field: secrets.read(name, field).get_secret_value() for field in expected} == expected
        with pytest.raises(NotFound, match=name) as caught:
            secrets.read(name, "passwort")
        assert "passwort" in str(caught.value)
        for field in ("none", "a"):
            with pytest.raises(ContractBroken, match=field):
                secrets.read(name, field)

    @pytest.mark.parametrize("value", [VALUE, '["a"]', '"a"'])
    def test_4_what_is_no_object_has_no_field(self, secrets: Secrets, keeper: Keeper, value: str) -> None:
        """It is told so, and the value is not."""
        name = keeper.name("plain")
        keeper.put(name, value)
        with pytest.raises((ContractBroken, NotFound), match=name) as caught:
            secrets.read(name, "password")
        assert value not in _told(caught.value)

    def test_5_no_value_shows(self, secrets: Secrets, keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
        """Neither in errors and those behind them, nor in logs of ours, nor written out, nor pickled."""
        name, fields = keeper.name("hidden"), keeper.name("hidden-fields")
        keeper.put(name, VALUE)
        keeper.put(fields, json.dumps({"password": OTHER, "more": [OTHER]}))
        with caplog.at_level(logging.DEBUG, logger="loopline"), redaction.off():
            given = secrets.read(name)
            seen = [repr(given), str(given), repr(secrets), str(secrets), secrets.model_dump_json()]
            for field in ("nothing", "more"):
                with pytest.raises(LooplineError) as caught:
                    secrets.read(fields, field)
                seen.append(_told(caught.value))
            with pytest.raises(LooplineError) as caught:
                secrets.read(name, "field")
            seen.append(_told(caught.value))
        pickled = pickle.dumps(secrets)
        for text in (*seen, caplog.text, pickled.decode(errors="replace")):
            assert not [value for value in (VALUE, OTHER) if value in text]
        again = pickle.loads(pickled)
        assert repr(again) == repr(secrets)
        again.close()
        secrets.close()
        secrets.close()


class SecretsServerKit(SecretsKit):
    """And those that only a server can break."""

    def test_6_an_identity_that_is_not_let_in(self, secrets: Secrets, keeper: ServerKeeper) -> None:
        """It is refused, with what to do; never an empty value, and never NotFound's advice to write the secret."""
        name = keeper.name("guarded")
        keeper.put(name, VALUE)
        keeper.feel("refuses")
        with pytest.raises(Refused) as caught:
            secrets.read(name)
        assert len(caught.value.fix) > 10
        assert VALUE not in _told(caught.value)
        keeper.feel("well")
        assert secrets.read(name).get_secret_value() == VALUE

    @pytest.mark.parametrize("mood", ["busy", "gone", "silent"])
    def test_7_a_store_that_does_not_answer(self, secrets: Secrets, keeper: ServerKeeper, mood: Mood) -> None:
        """It is worth another try, told in time, and answers when it is back."""
        name = keeper.name("away")
        keeper.put(name, VALUE)
        assert secrets.read(name).get_secret_value() == VALUE
        keeper.feel(mood)
        _unanswered(secrets, lambda: secrets.read(name))
        keeper.feel("well")
        assert secrets.read(name).get_secret_value() == VALUE

    @pytest.mark.parametrize("mood", ["gone", "silent"])
    def test_7_a_store_that_never_answered(self, secrets: Secrets, keeper: ServerKeeper, mood: Mood) -> None:
        """Also to whoever has yet to sign in."""
        name = keeper.name("away")
        keeper.put(name, VALUE)
        keeper.feel(mood)
        _unanswered(secrets, lambda: secrets.read(name))
        keeper.feel("well")


def _unanswered(secrets: Secrets, read: Callable[[], object]) -> None:
    begun = time.monotonic()
    with pytest.raises(Transient) as caught:
        read()
    assert time.monotonic() - begun < 3 * secrets.timeout_seconds + 1
    assert caught.value.delay_seconds > 0
    assert caught.value.fix


def _told(error: BaseException | None) -> str:
    """Write out an error and all behind it, as a traceback would."""
    said = []
    while error is not None:
        said += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)
