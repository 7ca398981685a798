"""Validation of an issuer's tokens (JWT): signature, issuer, audience and time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loopline.platform_core.errors import BadRequest, InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.platform_core.sign_in_settings import is_local

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""By which only who has the private key can sign."""
SKEW_SECONDS = 60
"""So far another machine's clock may be off."""
ANEW_SECONDS, AGAIN_SECONDS = 300.0, 5.0
"""Keys are fetched again after so long, so that one that was withdrawn goes; for a key that is not known, at most so
often: whoever sends tokens of made-up keys makes us ask no more than that."""
TIMEOUT_SECONDS = 10.0
LARGEST = 1_000_000
"""Bytes of an answer."""
_PATH = "/.well-known/openid-configuration"
_FIX = "sign in again, or get another token"
KINDS = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""What a token may say of itself in its head."""
LOGOUT_KINDS = frozenset({"", "jwt", "logout+jwt", "application/logout+jwt"})
"""What one may that says that somebody has signed out at the provider."""


class TokenInvalid(BadRequest):
    """A token that is not taken; the problem says why, and never shows it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, _FIX, 401)

    def __reduce__(self) -> tuple[type[TokenInvalid], tuple[str]]:  # type: ignore[override]
        """Survive pickling."""
        return type(self), (self.problem,)


class Issuer:
    """An issuer by its URL; what it says of itself and its keys are fetched when they are needed, and kept a while."""

    def __init__(
        self, url: str, now: Callable[[], float] = time.time, idle: Callable[[], float] = time.monotonic
    ) -> None:
        self.url, self._now, self._idle = url, now, idle
        self._lock = threading.Lock()
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._away: tuple[float, StoreUnavailable] | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Return what the issuer says of itself.

        Raises:
            StoreUnavailable: it does not answer. InvalidEnvironment: it says that it is another one.
        """
        came = self._idle()
        with self._lock:
            return self._said(came)

    def claims(self, token: str, audience: str) -> dict[str, Any]:
        """Return what a token says, once it is known to be this issuer's, for this audience, and of now.

        Raises:
            TokenInvalid: it is not. StoreUnavailable: the keys are not known, and the issuer does not answer.
        """
        claims = self.told(token, audience, KINDS)
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise TokenInvalid("the token does not say whose it is")
        return claims

    def told(self, token: str, audience: str, kinds: frozenset[str]) -> dict[str, Any]:
        """Return what a token of one of these kinds says, whoever it is of; it is this issuer's, for us, and of now.

        Raises:
            TokenInvalid: it is not. StoreUnavailable: the keys are not known, and the issuer does not answer.
        """
        if issuer_of(token) != self.url:  # the issuer need not be asked whether that is its own
            raise TokenInvalid("the token is another issuer's")
        claims = self._signed(token, kinds)
        if claims.get("iss") != self.url:
            raise TokenInvalid("the token is another issuer's")
        meant = claims.get("aud")
        if audience not in (meant if isinstance(meant, list) else [meant]):
            raise TokenInvalid(f"the token is not meant for {audience}")
        self._refuse_untimely(claims)
        return claims

    def _signed(self, token: str, kinds: frozenset[str]) -> dict[str, Any]:
        """Return what a token says that one of the issuer's keys has signed."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError

        try:
            try:
                found = jwt.decode(token, self._known_keys(), list(ALGORITHMS))
            except InvalidKeyIdError:
                found = jwt.decode(token, self._known_keys(AGAIN_SECONDS), list(ALGORITHMS))
        except LooplineError:
            raise
        except Exception as error:  # noqa: BLE001 - what strangers write fails in ways that the library has no name for
            raise TokenInvalid(f"the token is none of the issuer's: {one_line(type(error).__name__)}") from None
        if str(found.header.get("typ") or "").lower() not in kinds:
            raise TokenInvalid("the token is of another kind")
        return dict(found.claims)

    def _refuse_untimely(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        for name, sign, what in (
            ("exp", -1, "is over"),
            ("nbf", 1, "is not yet valid"),
            ("iat", 1, "is of the future"),
        ):
            at = claims.get(name)
            if at is None and name != "exp":
                continue
            if isinstance(at, bool) or not isinstance(at, int | float):
                raise TokenInvalid(f"the token's time {name} is none")
            if sign * (at - now) > SKEW_SECONDS:
                raise TokenInvalid(f"the token {what}")

    def _known_keys(self, no_older_than: float = ANEW_SECONDS) -> KeySet:
        came = self._idle()
        with self._lock:
            if self._keys is not None and self._idle() - self._keys[0] < no_older_than:
                return self._keys[1]
            try:
                where = in_secret(str(self._said(came).get("jwks_uri", "")), self.url)
                self._keys = (self._idle(), _public(self._asked(where, came)))
            except StoreUnavailable:
                if self._keys is None:
                    raise
                self._keys = (self._idle(), self._keys[1])  # those of before hold while it is away
            return self._keys[1]

    def _said(self, came: float) -> Mapping[str, Any]:
        if self._metadata is None or self._idle() - self._metadata[0] >= ANEW_SECONDS:
            try:
                found = self._asked(self.url.rstrip("/") + _PATH, came)
            except StoreUnavailable:
                if self._metadata is None:
                    raise
                found = self._metadata[1]
            if found.get("issuer") != self.url:
                raise InvalidEnvironment(
                    f"the provider at {self.url} says that it is {found.get('issuer')!r}",
                    "write sign_in.issuer letter by letter as the provider does",
                )
            self._metadata = (self._idle(), found)
        return self._metadata[1]

    def _asked(self, url: str, came: float) -> Mapping[str, Any]:
        """Ask the issuer; whoever came before it was found to be away has waited for that, and waits no more."""
        if self._away is not None and self._away[0] > came:
            raise StoreUnavailable(self._away[1].problem, self._away[1].fix, AGAIN_SECONDS)
        try:
            return self._fetched(url)
        except StoreUnavailable as error:
            self._away = (self._idle(), error)
            raise

    def _fetched(self, url: str) -> Mapping[str, Any]:
        return fetched(url)


def fetched(url: str) -> Mapping[str, Any]:
    """Return a JSON object of the provider's.

    Raises:
        StoreUnavailable: it does not answer, or with something else.
    """
    import httpx

    try:
        status, body = _read(url)
        found = json.loads(body) if status == httpx.codes.OK else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
        raise _away(url, one_line(error)) from error
    if not isinstance(found, dict):
        raise _away(url, f"it answers {status}, and no JSON object")
    return found


def _read(url: str) -> tuple[int, bytes]:
    """Return status and body of an answer, which is let go on no longer than it may be, nor for longer."""
    import httpx

    until, body, plain = time.monotonic() + TIMEOUT_SECONDS, b"", {"accept-encoding": "identity"}
    with httpx.stream("GET", url, headers=plain, timeout=TIMEOUT_SECONDS, follow_redirects=False) as answer:
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > LARGEST:
                raise ValueError(f"it answers more than {LARGEST:,} bytes")
            if time.monotonic() > until:
                raise ValueError(f"its answer takes more than {TIMEOUT_SECONDS:g} s")
    return answer.status_code, body


def in_secret(url: str, issuer: str) -> str:
    """Return an address of an issuer's where nobody on the way can answer in its place, or read what it is sent.

    Raises:
        InvalidEnvironment: it is asked in clear, beyond this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_local(parts.hostname or ""):
        raise InvalidEnvironment(
            f"the provider at {issuer} is to be asked in clear, at {url}",
            "let it name its addresses by https: a proxy before it must tell it by which scheme it was asked",
        )
    return url


def issuer_of(token: str) -> str:
    """Return the issuer that a token names, which nobody has checked yet; "" for what is no token."""
    found = unchecked(token).get("iss")
    return found if isinstance(found, str) else ""


def unchecked(token: str) -> Mapping[str, Any]:
    """Return what a token says that nobody checks here; nothing for what is no token."""
    import base64

    try:
        body = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _public(said: Mapping[str, Any]) -> KeySet:
    """Return the keys that sign; secrets that a key set should not hold, and keys of a kind not known, are left out."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

    keys, listed = [], said.get("keys")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("kty") in {"RSA", "EC", "OKP"} and one.get("use", "sig") == "sig":
            try:
                keys.append(JWKRegistry.import_key(one))
            except (JoseError, ValueError):
                continue
    return KeySet(keys)


def _away(url: str, why: str) -> StoreUnavailable:
    return StoreUnavailable(f"the provider at {url} does not answer: {why}", "see to the provider, then try again", 5.0)
