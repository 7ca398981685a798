"""What a browser may do with the portal's pages, and who may send it a form.

Pure ASGI: a header costs nothing. Nothing is inline and nothing comes from elsewhere, so the policy has no
``unsafe-*``. A form, or any request that may change something, must come from the portal's own pages: browsers say
where a request comes from in ``Origin`` and ``Sec-Fetch-Site``, and a request without both is no browser's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from loopline.portal.errors import defect, failed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
    "img-src 'self' data:"
)
"""Of the portal's pages; charts draw on canvas, and a small picture in the stylesheet may be ``data:``."""
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
LOCAL = ("localhost", "127.0.0.1", "[::1]")
"""Names by which a browser on this machine asks; others (a page that points its own name here) are refused."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
UNSUFFIXED = frozenset({"/openapi.json"})


class Guard:
    """Wraps the application: policy on every answer, ``.json`` on any page, and forms only from our own pages."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = LOCAL) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope, sending = _unsuffixed(scope), _Sending(send)
        refusal = self._refusal(scope)
        if refusal:
            response = failed(Request(scope), 403, refusal, "open the portal by its own address, and use its forms")
            await response(scope, receive, sending)
            return
        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if sending.begun:
                raise
            await defect(Request(scope), error)(scope, receive, sending)

    def _refusal(self, scope: Scope) -> str:
        """Say why a request is not taken, "" for one that is."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if "*" not in self.hosts and _name(host) not in self.hosts:
            return f"the portal is not known as {_name(host)!r}"
        if scope["method"] in SAFE:
            return ""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        foreign = origin is not None and not _is_of(origin, host)
        return "the form was sent from another site's page" if foreign or site != "same-origin" else ""


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


def _is_of(origin: str, host: str) -> bool:
    """Say whether an origin is of this host; what is no address is of none."""
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return a Host header without its port."""
    return host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host
