"""Callbacks of deferred requests: POST of the answer to the caller's URL, if its host is allowed; retry delays."""

from __future__ import annotations

import http.client
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from loopline.platform_core.errors import BadRequest

TIMEOUT_SECONDS = 5.0
FIRST_DELAY_SECONDS = 1.0
_PLAIN = re.compile(r"[!-~]*")
_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class _Parameters(msgspec.Struct):
    parameters: dict[str, Any] | None = None


_read = msgspec.json.Decoder(_Parameters).decode


def callback_of(body: bytes, json_length: int | None, hosts: tuple[str, ...]) -> str | None:
    """Return the parameter ``callback`` of a request that was read before; None without one.

    Raises:
        BadRequest: it is no URL of HTTP, or its host is none of ``hosts``: a server must not be sent anywhere at will.
    """
    url = (_read(body if json_length is None else body[:json_length]).parameters or {}).get("callback")
    if url is None:
        return None
    if isinstance(url, str) and not _PLAIN.fullmatch(url):
        raise BadRequest(
            f"parameter callback: {url!r} holds a letter that no URL has",
            "write a space or a letter beyond ASCII as percent and two digits a byte, such as %20 or %C3%A9",
        )
    try:
        parts = urlsplit(url)
        known = {parts.hostname, f"{parts.hostname}:{parts.port}"}
    except (AttributeError, ValueError, TypeError):
        parts, known = SplitResult("", "", "", "", ""), set()
    if parts.scheme not in _CONNECTIONS or parts.username is not None or not known & set(hosts):
        raise BadRequest(
            f"parameter callback: {url!r} is no URL of a host that is allowed here",
            f"use http or https and one of {', '.join(hosts) or 'none'}; the setting is deferred.callback_hosts",
        )
    return str(url)


def post(url: str, name: str, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
    """Post an answer once; a redirection is not followed, since it may lead where nobody allowed.

    Returns:
        Whether the caller took it (status 2xx).
    """
    parts = urlsplit(url)
    connection = _CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    sent = {key.decode(): value.decode() for key, value in headers if key != b"content-length"}
    try:
        connection.request(
            "POST", parts._replace(scheme="", netloc="").geturl() or "/", body, sent | {"x-request": name}
        )
        answer = connection.getresponse()
        answer.read()
        is_taken: bool = http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES
    except (OSError, ValueError, http.client.HTTPException):  # ValueError: a URL that cannot be written or resolved
        return False
    finally:
        connection.close()
    return is_taken


def due(attempts: int, last: float, now: float) -> bool:
    """Say whether to try again: each failure doubles the delay; one that is ahead is of a clock put right since."""
    return not attempts or not 0 <= now - last < FIRST_DELAY_SECONDS * 2 ** (attempts - 1)
