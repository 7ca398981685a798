"""The kit of credentials catches who lets a stranger in, and who tells a secret."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from pydantic import Field

from loopline.platform_core.contracts.online_store import Key, OnlineRow
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs

WRONG = "mellon"
Asks = Sequence[tuple[str, Sequence[Key]]]


class Guarded(InMemoryOnlineStore):
    """Lets in who has the secret."""

    secret: str = Field(repr=False)

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        self.look()
        return super().read(asks)

    def drop(self, view: str) -> None:
        self.look()
        super().drop(view)

    def look(self) -> None:
        if self.secret != "open-sesame":
            raise InvalidEnvironment("the store lets nobody in who has this secret", "give it the right one")


class TestGuarded(CredentialsKit):
    """A store that keeps to it."""

    @pytest.fixture
    def wrong_secret(self) -> str:
        return WRONG

    @pytest.fixture
    def stranger(self, wrong_secret: str) -> Guarded:
        return Guarded(name="guarded", secret=wrong_secret)


class TellsItBehind(Guarded):
    """Breaks the second: the error behind the error says it."""

    def look(self) -> None:
        try:
            raise ValueError(f"AUTH {self.secret}")  # noqa: TRY301
        except ValueError as error:
            raise InvalidEnvironment("the store lets nobody in", "give it the right secret") from error


def tell(_up: Any, store: Guarded) -> None:
    """Say with what it was tried."""
    raise InvalidEnvironment(f"the store does not know {store.secret!r}", "give it the right one")


made = partial(mutant, Guarded)
CAUGHT = {
    "test_a_wrong_secret_is_refused": [
        # who may not look is told that there is nothing
        made("LetsReadersIn", read=lambda _up, _, asks: [[None for _ in keys] for _, keys in asks]),
        # only readers are looked at
        made("OnlyDropsForStrangers", drop=lambda _up, _store, _view: None),
    ],
    "test_no_secret_shows": [
        made("TellsTheSecret", look=tell),
        TellsItBehind,
        # whoever prints the store prints the secret
        made("WritesItOut", __repr__=lambda _, store: f"WritesItOut(secret={store.secret!r})"),
    ],
}


@pytest.mark.parametrize(("mutant", "test"), pairs(CAUGHT))
def test_kit_catches(mutant: type[Guarded], test: str) -> None:
    """Each breaks one of the two."""
    assert_catches(CredentialsKit, test, stranger=mutant(name="guarded", secret=WRONG), wrong_secret=WRONG)
