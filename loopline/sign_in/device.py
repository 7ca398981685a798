"""OAuth device flow for commands: a code that the person confirms in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import Refused, StoreUnavailable, Unsupported, one_line
from loopline.sign_in.issuer import TIMEOUT_SECONDS, in_secret

if TYPE_CHECKING:
    from loopline.sign_in.provider import Provider

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_SECONDS = 5.0
"""RFC 8628, 3.5: so much longer is waited after ``slow_down``."""


@dataclass(frozen=True)
class Code:
    """What a person types in at ``address``; ``direct`` leads there with the code in it, "" where there is no such."""

    user: str
    address: str
    direct: str
    device: str
    every_seconds: float
    lasts_seconds: float


def begin(provider: Provider) -> Code:
    """Begin to log in.

    Raises:
        Unsupported: the provider knows no device flow. Refused: our client may not use it.
        StoreUnavailable: it does not answer.
    """
    told = _posted(provider, "device_authorization_endpoint", {"scope": provider.settings.cli_scopes})
    if "error" in told:
        raise _refused(told)
    try:
        return Code(
            str(told["user_code"]),
            str(told["verification_uri"]),
            str(told.get("verification_uri_complete", "")),
            str(told["device_code"]),
            float(told.get("interval", 5)),
            float(told["expires_in"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unsupported(
            f"the provider's answer is no device code: {one_line(error)}", "see to the provider"
        ) from error


def wait(provider: Provider, code: Code, sleep: Callable[[float], None] = time.sleep) -> Mapping[str, Any]:
    """Wait until the person has confirmed, and return the tokens.

    Raises:
        Refused: the person did not, or the code's time is over. StoreUnavailable: the provider does not answer.
    """
    every, until = code.every_seconds, time.monotonic() + code.lasts_seconds
    while time.monotonic() < until:
        sleep(every)
        told = _posted(provider, "token_endpoint", {"grant_type": GRANT, "device_code": code.device})
        if "error" not in told:
            return told
        if told["error"] == "slow_down":
            every += SLOWER_SECONDS
        elif told["error"] != "authorization_pending":
            raise _refused(told)
    raise Refused("nobody has confirmed the code in its time", "run 'loopline login' again")


def refreshed(provider: Provider, refresh_token: str) -> Mapping[str, Any]:
    """Return new tokens for a refresh token.

    Raises:
        Refused: the provider does not take it any more. StoreUnavailable: it does not answer.
    """
    told = _posted(provider, "token_endpoint", {"grant_type": "refresh_token", "refresh_token": refresh_token})
    if "error" in told:
        raise _refused(told)
    return told


def revoke(provider: Provider, refresh_token: str) -> None:
    """Let the provider forget a refresh token, where it can."""
    if isinstance(provider.issuer.metadata.get("revocation_endpoint"), str):
        _posted(provider, "revocation_endpoint", {"token": refresh_token, "token_type_hint": "refresh_token"})


def _posted(provider: Provider, endpoint: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    import httpx

    where = provider.issuer.metadata.get(endpoint)
    if not isinstance(where, str):
        raise Unsupported(
            f"the provider at {provider.issuer.url} names no {endpoint}", "let its client use the device flow"
        )
    in_secret(where, provider.issuer.url)
    try:
        answer = httpx.post(where, data={"client_id": provider.settings.cli_client_id, **form}, timeout=TIMEOUT_SECONDS)
        told = answer.json() if answer.content else {}
    except (httpx.HTTPError, ValueError) as error:
        raise StoreUnavailable(f"the provider at {where} does not answer: {one_line(error)}", "try again") from error
    if not isinstance(told, dict) or (answer.is_error and "error" not in told):
        raise StoreUnavailable(f"the provider at {where} answers {answer.status_code}", "see to the provider")
    return told


def _refused(told: Mapping[str, Any]) -> Refused:
    why = one_line(told.get("error_description") or told["error"])
    return Refused(f"the provider does not let this command sign in: {why}", "run 'loopline login' again")
