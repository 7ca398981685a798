"""OpenID Connect client: code flow with PKCE for browsers, and validation of the provider's tokens."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from loopline.platform_core.errors import BadRequest, StoreUnavailable, Unsupported, one_line
from loopline.platform_core.identity import names
from loopline.platform_core.identity.caller import Caller
from loopline.sign_in.issuer import LOGOUT_KINDS, TIMEOUT_SECONDS, Issuer, TokenInvalid, in_secret, unchecked

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client

    from loopline.platform_core.sign_in_settings import SignIn

MOST_GROUPS = 500
SIGNED_OUT = "http://schemas.openid.net/event/backchannel-logout"
YOUNG_SECONDS = 600.0
"""So old a provider's word that somebody has signed out may be, as long as it is remembered that it came."""


@dataclass(frozen=True)
class Left:
    """Who has signed out at the provider: ``session`` there, ``subject``, or both; "" for what it does not say."""

    session: str
    subject: str
    once: str

    def is_of(self, id_token: str) -> bool:
        """Say whether a session of ours that began with this ID token is over with it.

        One whose provider did not say in which session it began is over with any of that person's.
        """
        said = unchecked(id_token)
        session, subject = said.get("sid"), said.get("sub")
        if self.subject and subject != self.subject:
            return False
        return not self.session or session == self.session or (session is None and bool(self.subject))


@dataclass(frozen=True)
class Provider:
    """The provider that an environment names; ``secret`` is asked for when it is needed, and may be a new one then."""

    settings: SignIn
    secret: Callable[[], str] = lambda: ""

    @cached_property
    def issuer(self) -> Issuer:
        """Return who signs the provider's tokens."""
        return Issuer(self.settings.issuer)

    def address(self, back: str, state: str, nonce: str, verifier: str) -> str:
        """Return where a browser goes to sign in; ``back`` is where it is sent afterwards.

        Raises:
            StoreUnavailable: the provider does not answer. Unsupported: it knows no code flow.
        """
        with self._client(back) as client:
            where = self._endpoint("authorization_endpoint")
            url, _ = client.create_authorization_url(where, state=state, nonce=nonce, code_verifier=verifier)
        return str(url)

    def arrived(self, back: str, code: str, nonce: str, verifier: str) -> tuple[Caller, str]:
        """Take a code for who came back with it; returns who it is, and the ID token.

        Raises:
            TokenInvalid: the provider does not take the code, or its token is not of this sign-in.
            StoreUnavailable: it does not answer.
        """
        from authlib.common.errors import AuthlibBaseError

        where = self._endpoint("token_endpoint")
        try:
            with self._client(back) as client:
                told = client.fetch_token(where, grant_type="authorization_code", code=code, code_verifier=verifier)
        except AuthlibBaseError as error:
            raise TokenInvalid(f"the provider does not take the sign-in: {one_line(error)}") from None
        except (OSError, ValueError, _http_error()) as error:
            raise StoreUnavailable(
                f"the provider at {where} does not answer: {one_line(error)}", "sign in again"
            ) from error
        token = told.get("id_token")
        if not isinstance(token, str):
            raise TokenInvalid("the provider gave no ID token")
        claims = self.identified(token, self.settings.client_id)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise TokenInvalid("the ID token is of another sign-in")
        return self.person(claims), token

    def identified(self, token: str, client: str) -> dict[str, Any]:
        """Return what an ID token says that was given to a client.

        Raises:
            TokenInvalid: it is none, or was given to another one.
        """
        claims = self.issuer.claims(token, client)
        party = claims.get("azp")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or party is not None) and party != client:
            raise TokenInvalid("the ID token was given to another client")
        return claims

    def bearer(self, token: str) -> Caller:
        """Return whose an access token is, a service's or a person's.

        Raises:
            TokenInvalid: it is none of this provider's, is not meant for us, or is over.
        """
        claims = self.issuer.claims(token, self.settings.audience)
        if _is_of_signing(claims):
            raise TokenInvalid("an ID token, or one of a sign-out, lets nobody in: send the access token")
        service = _service(claims)
        return self._called(service, claims, service=True) if service else self.person(claims)

    def person(self, claims: Mapping[str, Any]) -> Caller:
        """Return who a token is of, by the claim that names people here.

        Raises:
            TokenInvalid: it names nobody, or an address that nobody has proven to have.
        """
        claim = self.settings.name_claim
        if claim == "email" and claims.get("email_verified") is not True:
            raise TokenInvalid("the provider does not say that the e-mail address was verified")
        name = claims.get(claim)
        if not isinstance(name, str):
            raise TokenInvalid(f"the token does not name anybody by {claim!r}, see sign_in.name_claim and scopes")
        return self._called(name, claims)

    def sign_out(self, id_token: str, back: str) -> str:
        """Return where a browser signs out at the provider, "" where it knows no such place."""
        where = self.issuer.metadata.get("end_session_endpoint")
        if not isinstance(where, str):
            return ""
        asked = {"id_token_hint": id_token, "client_id": self.settings.client_id, "post_logout_redirect_uri": back}
        return f"{where}{'&' if '?' in where else '?'}{urlencode({k: v for k, v in asked.items() if v})}"

    def left(self, token: str, now: float) -> Left:
        """Return who has signed out, as the provider says by itself (OpenID Connect Back-Channel Logout 1.0, 2.4).

        Raises:
            TokenInvalid: it is not the provider's word for us, of the last minutes, or is that of something else.
        """
        claims = self.issuer.told(token, self.settings.client_id, LOGOUT_KINDS)
        events, at = claims.get("events"), claims.get("iat")
        if not isinstance(events, dict) or not isinstance(events.get(SIGNED_OUT), dict):
            raise TokenInvalid("the token does not say that somebody has signed out")
        if "nonce" in claims:
            raise TokenInvalid("the token is one of a sign-in")
        if not isinstance(at, int | float) or at < now - YOUNG_SECONDS:
            raise TokenInvalid("the token is too old, or does not say since when it is")
        session, subject, once = (_text(claims, name) for name in ("sid", "sub", "jti"))
        if not once or not (session or subject):
            raise TokenInvalid("the token does not say who has signed out, or what tells it from others")
        return Left(session, subject, once)

    def _called(self, name: str, claims: Mapping[str, Any], service: bool = False) -> Caller:
        try:
            names.checked(name)
        except BadRequest as error:
            raise TokenInvalid(error.problem) from None
        groups = claims.get(self.settings.groups_claim)
        found = [one for one in groups if isinstance(one, str) and one] if isinstance(groups, list) else []
        return Caller(name, frozenset(found[:MOST_GROUPS]), service, self.issuer.url)

    def _endpoint(self, name: str) -> str:
        found = self.issuer.metadata.get(name)
        if not isinstance(found, str):
            raise Unsupported(f"the provider at {self.issuer.url} names no {name}", "let it offer the code flow")
        return in_secret(found, self.issuer.url)

    def _client(self, back: str) -> OAuth2Client:
        from authlib.integrations.httpx_client import OAuth2Client

        secret = self.secret()
        return OAuth2Client(
            self.settings.client_id,
            secret or None,
            token_endpoint_auth_method=self._proof() if secret else "none",
            scope=self.settings.scopes,
            redirect_uri=back,
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
        )

    def _proof(self) -> str:
        """Return how the provider wants to be shown the secret."""
        ways = self.issuer.metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"


def _is_of_signing(claims: Mapping[str, Any]) -> bool:
    """Tell a token of a sign-in or a sign-out by what only such say: browsers and logs of sign-outs have seen it."""
    return claims.get("typ") in {"ID", "Logout"} or any(
        name in claims for name in ("nonce", "at_hash", "c_hash", "events")
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim, "" where it is not there.

    Raises:
        TokenInvalid: it is no text.
    """
    found = claims.get(name, "")
    if not isinstance(found, str):
        raise TokenInvalid(f"the token's {name} is no text")
    return found


def _service(claims: Mapping[str, Any]) -> str:
    """Return the client that a token stands for itself of, "" for a person's.

    That is said by the subject (RFC 9068), or in the ways of Keycloak, Entra and Auth0.
    """
    client = claims.get("client_id") or claims.get("azp")
    if not isinstance(client, str):
        return ""
    itself = claims["sub"] in {client, f"{client}@clients"} or claims.get("idtyp") == "app"
    keycloak = "client_id" in claims and claims.get("preferred_username") == f"service-account-{client.lower()}"
    return client if itself or keycloak else ""


def _http_error() -> type[Exception]:
    import httpx

    return httpx.HTTPError
