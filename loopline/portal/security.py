"""Security headers of the portal (content security policy); ``loopline.web_guard`` says who may ask.

Pure ASGI: a header costs nothing. Nothing is inline and nothing comes from elsewhere, so the policy has no
``unsafe-*``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from loopline.portal.errors import defect, failed

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
    "img-src 'self' data:"
)
"""Of the portal's pages; a small picture in the stylesheet may be ``data:``."""
DRAWN_ELSEWHERE = (
    "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'none'"
)
"""Of reports, which are one file each with all inside: they run in an origin of their own and reach no address."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
UNSUFFIXED = frozenset({"/openapi.json"})


def refused(scope: Scope, problem: str, fix: str) -> Response:
    """Refuse a request with an error page, in the form that was asked for."""
    return failed(Request(scope), 403, problem, fix)


class PagePolicy:
    """Wraps the application and its guard: policy on every answer, ``.json`` on any page, a page for a defect."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope, sending = _unsuffixed(scope), _Sending(send)
        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if sending.begun:
                raise
            await defect(Request(scope), error)(scope, receive, sending)


class _Sending:
    """Sends an answer with the policy in its head, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        """Send a piece of the answer."""
        if message["type"] == "http.response.start":
            self.begun = True
            _protect(MutableHeaders(scope=message))
        await self._send(message)


def _protect(headers: MutableHeaders) -> None:
    headers.setdefault("content-security-policy", POLICY)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if headers.get("content-type", "").startswith(("text/html", "application/json")):
        headers.setdefault("cache-control", "no-store")
        headers.add_vary_header("accept")


def _unsuffixed(scope: Scope) -> Scope:
    """Take ``.json`` from the end of a page's path, and remember that it was there."""
    path: str = scope["path"]
    if not path.endswith(".json") or path in UNSUFFIXED or path.startswith(("/static/", "/reports/")):
        return scope
    return {**scope, "path": path.removesuffix(".json"), "raw_path": None, "loopline.json": True}
