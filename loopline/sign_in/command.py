"""Identity of the command line's caller: from ``loopline login``, or the token in ``LOOPLINE_TOKEN``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core import environment
from loopline.platform_core.errors import Denied, LooplineError, Refused
from loopline.platform_core.identity import noted
from loopline.platform_core.identity.caller import Caller
from loopline.sign_in import device
from loopline.sign_in.desk import Desk
from loopline.sign_in.issuer import TokenInvalid
from loopline.sign_in.kept import Kept

if TYPE_CHECKING:
    from loopline.sign_in.provider import Provider

TOKEN = "LOOPLINE_TOKEN"  # noqa: S105 - the variable's name
HELD_SECONDS = 5.0
"""A command asks more than once who calls it."""
_held: dict[tuple[str, str], tuple[float, Caller]] = {}


@dataclass(frozen=True)
class Command:
    """The command line of one environment: its desk, and what is kept of who logged in."""

    desk: Desk
    kept: Kept

    def caller(self) -> Caller:
        """Return who calls.

        Raises:
            Denied: nobody has logged in, or what was kept holds no more. StoreUnavailable: nobody can tell now.
        """
        token = os.environ.get(TOKEN, "")
        found = self._known(self.desk.caller, token) if token else self._logged_in()
        if found is None:
            raise Denied("nobody has logged in here, or the session is over", "run 'loopline login'")
        return found

    def by_password(self, name: str, password: str, address: str) -> Caller:
        """Log in by an account.

        Raises:
            Denied: name or password is wrong. BadRequest: too many attempts failed.
        """
        word = self.desk.sign_in(name, password, address)
        if not word:
            raise Denied("name or password is wrong", "try again; whoever keeps the accounts gives a new password")
        self.kept.write({"session": word})
        return self.caller()

    def by_device(self, told: Mapping[str, Any]) -> Caller:
        """Log in by the tokens that the device flow gave.

        Raises:
            Denied: they are not the provider's, or not for this client.
        """
        caller = self._take(told, {})
        noted.signed_in(self.desk.ledger, caller)
        return caller

    def log_out(self) -> Caller | None:
        """Forget who logged in, here and at the provider; None where nobody had."""
        with self.kept.alone():
            texts = self.kept.read()
            self.kept.forget()
        if "session" in texts:
            caller = self.desk.sessions.caller(texts["session"])
            self.desk.sign_out(texts["session"], "")
            return caller
        if "id_token" not in texts:
            return None
        caller = _unless_over(self._provider, texts["id_token"])
        if texts.get("refresh_token"):
            try:
                device.revoke(self._provider, texts["refresh_token"])
            except LooplineError as error:
                raise Refused(f"logged out here, but not at the provider: {error.problem}", error.fix) from error
        if caller is not None:
            noted.signed_out(self.desk.ledger, caller)
        return caller

    @property
    def _provider(self) -> Provider:
        assert self.desk.provider is not None  # asked where there is one
        return self.desk.provider

    def _logged_in(self) -> Caller | None:
        texts = self.kept.read()
        if "session" in texts and self.desk.provider is None:
            return self._known(self.desk.caller, texts["session"])
        if "id_token" not in texts or self.desk.provider is None:
            return None
        try:
            return self._known(self._identified, texts["id_token"])
        except TokenInvalid:
            return self._refreshed(texts["id_token"])

    def _refreshed(self, old: str) -> Caller:
        """Return who logged in by new tokens; another command may have fetched them meanwhile.

        Raises:
            Denied: the provider gives none.
        """
        with self.kept.alone():
            texts = self.kept.read()
            if texts.get("id_token", old) != old:
                return self._identified(texts["id_token"])
            if not texts.get("refresh_token"):
                raise Denied("the login is over", "run 'loopline login'")
            try:
                told = device.refreshed(self._provider, texts["refresh_token"])
            except Refused as error:
                raise Denied(f"the login is over: {error.problem}", "run 'loopline login'") from error
            return self._take(told, texts)

    def _take(self, told: Mapping[str, Any], before: Mapping[str, str]) -> Caller:
        tokens = {name: str(told.get(name) or before.get(name, "")) for name in ("id_token", "refresh_token")}
        try:
            caller = self._identified(tokens["id_token"])
        except TokenInvalid as error:
            raise Denied(f"the provider's token is not taken: {error.problem}", "run 'loopline login'") from error
        self.kept.write(tokens)
        return caller

    def _identified(self, token: str) -> Caller:
        return self._provider.person(self._provider.identified(token, self.desk.settings.cli_client_id))

    def _known(self, ask: Any, word: str) -> Caller | None:
        key = (str(self.kept.file), word)
        found = _held.get(key)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        caller: Caller | None = ask(word)
        if caller is not None:
            _held[key] = (time.monotonic() + HELD_SECONDS, caller)
        return caller


@contextmanager
def opened() -> Iterator[Command]:
    """Give the command line of the environment in force.

    Raises:
        Refused: it says nothing of signing in.
    """
    from loopline.platform_core.platform import Platform

    platform = Platform(environment.read(only=()))
    try:
        desk = Desk.of(platform.environment, platform.ledger)
        yield Command(desk, Kept.of(desk.settings))
    finally:
        platform.close()


def caller(by: str | None) -> Caller:
    """Return who calls; ``by`` is what the call says, and can be nobody else.

    Raises:
        Denied: nobody has logged in, or somebody else than the call says.
    """
    with opened() as command:
        found = command.caller()
    if by and by != found.name:
        raise Denied(f"{found.name} has logged in, and cannot decide as {by}", "leave --by out, or log in as that one")
    return found


def _unless_over(provider: Provider, token: str) -> Caller | None:
    try:
        return provider.person(provider.identified(token, provider.settings.cli_client_id))
    except LooplineError:
        return None
