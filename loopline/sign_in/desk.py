"""Authenticates a request by its session cookie or token."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest, LooplineError, Refused
from loopline.platform_core.identity import accounts, noted
from loopline.platform_core.identity.attempts import Attempts
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.logouts import Logouts
from loopline.platform_core.identity.sessions import PREFIX, Sessions
from loopline.platform_core.identity.started import Started
from loopline.sign_in.issuer import Issuer, TokenInvalid, issuer_of
from loopline.sign_in.provider import YOUNG_SECONDS, Provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.environment import Environment
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.sign_in_settings import Issuer as Vouching
    from loopline.platform_core.sign_in_settings import SignIn

HELD_SECONDS = 2.0
"""What is known of a session or a token is used so long: a sign-out in one process is one in all of them after that."""
MOST_HELD = 10_000
FORBIDDEN = 403


@dataclass(frozen=True)
class Arrival:
    """Who comes back from the provider: what that sent along, by which browser, and the session that it had."""

    state: str
    browser: str
    code: str = ""
    error: str = ""
    address: str = ""
    instead_of: str = ""


@dataclass
class Desk:
    """What servers ask who somebody is; blocking, but for ``held``."""

    settings: SignIn
    ledger: Ledger
    secret: Callable[[], str] = lambda: ""
    monotonic: Callable[[], float] = time.monotonic
    _held: OrderedDict[str, tuple[float, Caller]] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, environment: Environment, ledger: Ledger) -> Desk:
        """Return the desk of an environment.

        Raises:
            Refused: it says nothing of signing in.
        """
        if environment.sign_in is None:
            raise Refused(
                f"{environment.path} says nothing of signing in: nobody is asked who he is",
                "add sign_in: {accounts: accounts.yaml}, or a provider's issuer; see docs/how-to/sign-in.md",
            )
        return cls(environment.sign_in, ledger, environment.client_secret)

    @cached_property
    def sessions(self) -> Sessions:
        """Return the sessions."""
        return Sessions(self.ledger, self.settings.idle_seconds, self.settings.longest_seconds)

    @cached_property
    def started(self) -> Started:
        """Return those who are on their way to the provider."""
        return Started(self.ledger)

    @cached_property
    def attempts(self) -> Attempts:
        """Return what slows down who guesses."""
        return Attempts(self.ledger)

    @cached_property
    def provider(self) -> Provider | None:
        """Return the provider; None where accounts vouch."""
        return Provider(self.settings, self.secret) if self.settings.issuer else None

    @cached_property
    def _vouching(self) -> dict[str, tuple[Issuer, Vouching]]:
        """Return who vouches for services besides, by URL."""
        return {one.issuer: (Issuer(one.issuer), one) for one in self.settings.services}

    def held(self, word: str) -> Caller | None:
        """Return who is known by a session or a token since a moment ago; None: ask ``caller``."""
        found = self._held.get(word)
        return found[1] if found is not None and found[0] > self.monotonic() else None

    def caller(self, word: str, used: bool = True) -> Caller | None:
        """Return whose a session or a token is; None for one that is unknown or over.

        Raises:
            TokenInvalid: a token that is not taken, and why. StoreUnavailable: ledger or provider do not answer.
        """
        found = self._by_session(word, used) if word.startswith(PREFIX) else self._by_token(word)
        with self._lock:
            self._held.pop(word, None)
            if found is not None and used:  # else who looks on would hide that others use it
                self._held[word] = (self.monotonic() + HELD_SECONDS, found)
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        return found

    def sign_in(self, name: str, password: str, address: str, instead_of: str = "") -> str:
        """Begin a session for who knows an account's password; "" for who does not. Either is written down.

        Raises:
            BadRequest: 429, too many attempts failed.
        """
        file = self.settings.accounts
        assert file is not None  # the pages ask for passwords where there are accounts only
        self.attempts.take(name, address)
        before = accounts.read(file).get(name)
        if not accounts.verify(file, name, password):
            known = name if name in accounts.read(file) else ""
            noted.failed(self.ledger, known, "", "wrong password" if known else "no such account")
            return ""
        self.attempts.forget(name, address)
        word = self.begin(Caller(name), instead_of=instead_of)
        if accounts.read(file).get(name) != before:  # else it outlives a change that ended all but this
            self.sign_out(word, "")
            return ""
        return word

    def begin(self, caller: Caller, id_token: str = "", instead_of: str = "") -> str:
        """Begin a session for who has proven who he is; what the browser had before ends."""
        word = self.sessions.begin(caller, id_token, instead_of)
        self._forget(instead_of)
        noted.signed_in(self.ledger, caller)
        return word

    def arrived(self, came: Arrival, back: str) -> tuple[str, str]:
        """Begin a session for who comes back from the provider; returns it, and where he wanted to go.

        Raises:
            BadRequest: 403, this browser did not begin it, or came back before. TokenInvalid: it is not taken.
        """
        assert self.provider is not None  # the address is there with a provider only
        way = self.started.take(came.state, came.browser)
        try:
            if not came.code:
                raise BadRequest(f"the provider says {came.error!r}", "sign in again", FORBIDDEN)
            caller, id_token = self.provider.arrived(back, came.code, way.nonce, way.verifier)
        except LooplineError as error:
            self._failed_at_provider(came.address, error.problem)
            raise
        return self.begin(caller, id_token, came.instead_of), way.destination

    def _failed_at_provider(self, address: str, why: str) -> None:
        """Write down that somebody failed; of one address so often at most, for to fail needs no right."""
        with suppress(BadRequest):
            self.attempts.take(secrets.token_hex(8), address)
            noted.failed(self.ledger, "", self.settings.issuer, why)

    def sign_out(self, word: str, back: str) -> str:
        """End a session; returns where the browser signs out at the provider, "" where there is no such place."""
        ended = self.sessions.end(word)
        self._forget(word)
        if ended is None:
            return ""
        noted.signed_out(self.ledger, ended.caller)
        if self.provider is None or not ended.id_token:
            return ""
        try:
            return self.provider.sign_out(ended.id_token, back)
        except LooplineError:  # here he is signed out, whatever the provider does
            return ""

    def left(self, token: str) -> int:
        """End the sessions of who has signed out at the provider, as that says by itself; returns how many there were.

        Raises:
            TokenInvalid: it is not the provider's word, or came before. StoreUnavailable: nobody can tell now.
        """
        if self.provider is None:
            raise TokenInvalid("no provider's tokens are taken here")
        left = self.provider.left(token, time.time())
        known = Logouts(self.ledger)
        if known.came(left.once):
            raise TokenInvalid("the provider's word came before")
        over = self.sessions.end_those(self.settings.issuer, left.is_of)
        known.remember(left.once, 2 * YOUNG_SECONDS)
        with self._lock:
            self._held.clear()
        for caller in over:
            noted.signed_out(self.ledger, caller, "at the provider")
        return len(over)

    def _forget(self, word: str) -> None:
        with self._lock:
            self._held.pop(word, None)

    def _by_session(self, word: str, used: bool) -> Caller | None:
        """Return whose a session is, as long as what vouched for him still does."""
        found = self.sessions.caller(word, used)
        if found is None or found.service:
            return found
        if found.issuer or self.settings.accounts is None:
            return found if found.issuer == self.settings.issuer else None
        return found if accounts.is_there(self.settings.accounts, found.name) else None

    def _by_token(self, token: str) -> Caller:
        vouching = self._vouching.get(issuer_of(token))
        if vouching is not None:
            issuer, said = vouching
            name = str(issuer.claims(token, said.audience)["sub"])
            if not any(fnmatch.fnmatchcase(name, subject) for subject in said.subjects):
                raise TokenInvalid(f"{name!r} is none of the services that are let in")
            return Caller(name, service=True, issuer=issuer.url)
        if self.provider is None:
            raise TokenInvalid("no provider's tokens are taken here")
        return self.provider.bearer(token)


def form_token(word: str) -> str:
    """Return what a form of a session's own page sends beside its cookie."""
    return hmac.new(word.encode("utf-8", "surrogateescape"), b"form", hashlib.sha256).hexdigest()


def is_form_token(word: str, given: str) -> bool:
    """Say whether a form was made for this session, or this browser."""
    return bool(word) and hmac.compare_digest(form_token(word).encode(), given.encode("utf-8", "replace"))
