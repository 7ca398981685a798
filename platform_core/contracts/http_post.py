"""HTTP POST for notifiers: maps responses to errors, and keeps the URL, which may be a secret, out of them."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message as Headers
from typing import IO, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from loopline.platform_core.errors import LooplineError, Refused, StoreUnavailable

BUSY = {408, 425, 429, *range(500, 600)}
"""Statuses that say: later."""
LONGEST_DELAY_SECONDS = 3600.0


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> None:
    """Post a body once, by the proxy of this process's environment; a redirection is refused.

    Raises:
        StoreUnavailable: busy, gone or silent. Refused: the receiver does not take it, or it cannot be sent.
    """
    problem: LooplineError
    try:
        host = urlsplit(url).hostname or "the receiver"
        request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - checked
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_seconds) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        problem = _answered(host, error)
        error.close()
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        problem = _unreached(host, getattr(error, "reason", error))
    except ValueError:  # a line break, or what is no Latin-1; after OSError, for a bad certificate is both
        problem = Refused("a header or the address cannot be sent", "look for line breaks and letters beyond Latin-1")
    else:
        return
    raise problem  # outside the handlers: what the library says may hold the whole address


def checked_url(url: str) -> str:
    """Return a URL of HTTP.

    Raises:
        ValueError: it is none; the message does not show it.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("no URL of http or https")
    return url


def _checked(url: SecretStr) -> SecretStr:
    checked_url(url.get_secret_value())
    return url


SecretUrl = Annotated[SecretStr, AfterValidator(_checked)]
"""A URL of HTTP that is a secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0913, PLR0917 - the library's signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Headers, newurl: str
    ) -> None:
        """Follow nothing: it may lead where nobody allowed."""


def _answered(host: str, error: urllib.error.HTTPError) -> LooplineError:
    said = f"{host} answered {error.code}"
    if error.code in BUSY:
        return StoreUnavailable(said, "nothing: it is tried again", _delay(error.headers))
    if error.code in {401, 403, 404, 410}:
        return Refused(said, "correct the notifier's URL or its secret in the environment file")
    return Refused(said, "look at what the receiver takes: size, form, address")


def _unreached(host: str, reason: Any) -> LooplineError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Refused(
            f"the certificate of {host} is not trusted", "install its authority's certificate on this machine"
        )
    return StoreUnavailable(f"{host} does not answer: {type(reason).__name__}", "look whether it runs and is reached")


def _delay(headers: Headers) -> float:
    asked = headers.get("retry-after") or ""
    return min(float(asked), LONGEST_DELAY_SECONDS) if asked.isdigit() else 1.0
