"""Session cookies of a browser, which scripts cannot read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import Response

SESSION, BROWSER = "loopline_session", "loopline_sign_in"
_HOST = "__Host-"
"""A browser takes a cookie of such a name over TLS only, and for this very host."""


def name_of(cookie: str, secure: bool) -> str:
    """Return what a cookie is called, over TLS and without."""
    return f"{_HOST}{cookie}" if secure else cookie


def read(headers: Iterable[tuple[bytes, bytes]], cookie: str, secure: bool) -> str:
    """Return a cookie of a request, "" where there is none."""
    wanted = f"{name_of(cookie, secure)}=".encode()
    for name, value in headers:
        if name == b"cookie":
            for part in value.split(b";"):
                bare = part.strip()
                if bare.startswith(wanted):
                    return bare[len(wanted) :].decode("latin-1")
    return ""


def give(response: Response, cookie: str, value: str, secure: bool, seconds: int | None = None) -> None:
    """Let the browser keep a cookie, while it runs or for so long."""
    response.set_cookie(name_of(cookie, secure), value, seconds, path="/", secure=secure, httponly=True, samesite="lax")


def take(response: Response, cookie: str, secure: bool) -> None:
    """Let the browser forget a cookie."""
    response.delete_cookie(name_of(cookie, secure), path="/", secure=secure, httponly=True, samesite="lax")


def is_secure(scope: Mapping[str, Any], https: bool) -> bool:
    """Say whether a browser came over TLS, to this process or to the proxy before it."""
    return https or scope.get("scheme") in {"https", "wss"}
