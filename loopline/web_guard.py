"""Web guard against foreign pages (CSRF, DNS rebinding) around all our web servers.

A server on this machine is reached by every web page that a person here opens: by an address in an image, by a form,
by a websocket, and by a name of the page's own that it points at this machine. So a request is taken only by a name
that is ours; one that may change something, or stays open, only from our own pages or from a program. Browsers say
where a request comes from in ``Origin`` and ``Sec-Fetch-Site``; a request without both is no browser's.

Pure ASGI: it costs microseconds, and sees websockets, which Starlette's ``BaseHTTPMiddleware`` does not. An inference
server's image has no Starlette, so that it is imported where pages are answered alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from loopline.platform_core.audit.origin import acting

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

VARIABLE = "LOOPLINE_HOSTS"
"""Names, with commas between, by which browsers and programs ask beside this machine's own; ``*`` for any."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")
"""Names by which this machine asks itself; others (a page that points its own name here) are refused."""
LONGEST_ADDRESS = 64
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FIX = f"ask by the server's own address and from its own pages; other names are allowed in {VARIABLE} or by --name"
Rule = Callable[["Scope"], str]
"""Says why a request of allowed origin is not taken, "" for one that is."""
Refusing = Callable[["Scope", str, str], "ASGIApp"]
"""Makes the answer with problem and fix."""


def allowed(*names: str) -> tuple[str, ...]:
    """Return the names that are ours: this machine's, those of ``LOOPLINE_HOSTS``, and ``names``."""
    named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    return tuple(dict.fromkeys(name.lower() for name in (*LOCAL, *named, *names) if name))


def refusal(scope: Scope, hosts: frozenset[str] | set[str]) -> str:
    """Say why a request or a websocket is not taken, "" for one that is."""
    host = (header(scope, b"host") or "").lower()
    if not _is_ours(_name(host), hosts):
        return f"this server is not known as {_name(host)!r}"
    if scope["type"] == "http" and scope["method"] in SAFE:
        return ""
    origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
    foreign = origin is not None and not _is_of(origin, host)
    return "the request was sent from another site's page" if foreign or site not in {None, "same-origin"} else ""


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request's header, the first of its name; None where there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def content_type(scope: Scope) -> str:
    """Return of what type a request's body is, without its parameters; "" where nothing says it."""
    return (header(scope, b"content-type") or "").partition(";")[0].strip().lower()


def graphql_as_json(scope: Scope) -> str:
    """Take GraphQL in a body of JSON only, which no image and no form of another site can send.

    Dagster's web server executes a mutation that stands in the address, over GET too.
    """
    if scope["type"] != "http" or not scope["path"].rstrip("/").endswith("/graphql"):
        return ""
    if "query" in parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        return "GraphQL in the address is not executed"
    if scope["method"] in SAFE:
        return ""
    kind = content_type(scope)
    return "" if kind == "application/json" else f"GraphQL as {kind or 'a body without a type'} is not taken"


GRAPHQL: Mapping[str, Any] = {
    "rule": graphql_as_json,
    "fix": "send GraphQL as a POST of application/json, by the server's own name; others are allowed in LOOPLINE_HOSTS",
    "headers": {"x-frame-options": "SAMEORIGIN"},
}
"""How ``Guard`` stands around a server of others' that has GraphQL, and pages that frame themselves."""


def as_json(_: Scope, problem: str, fix: str) -> ASGIApp:
    """Refuse as every service of ours does: ``{"error": {"problem": ..., "fix": ...}}``."""
    from starlette.responses import JSONResponse

    return JSONResponse({"error": {"problem": problem, "fix": fix}}, 403)


class Guard:
    """Wraps an application; what it refuses never reaches it. ``headers`` are set where an answer has none such.

    What is decided in a request bears the address that asked, in the audit's record.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each but the first has its usual value
        self,
        app: ASGIApp,
        hosts: tuple[str, ...] = LOCAL,
        rule: Rule = lambda _: "",
        fix: str = FIX,
        headers: Mapping[str, str] | None = None,
        refused: Refusing = as_json,
    ) -> None:
        self.app = app
        self.hosts = frozenset(name.lower() for name in hosts)
        self.rule, self.fix, self.headers, self.refused = rule, fix, dict(headers or {}), refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with 403; a websocket is refused before it is opened, which is 403 too."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        problem = refusal(scope, self.hosts) or self.rule(scope)
        if not problem:
            with acting(source=_address(scope)):
                await self.app(scope, receive, self._dressed(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": problem})
        else:
            await self.refused(scope, problem, self.fix)(scope, receive, self._dressed(send))

    def _dressed(self, send: Send) -> Send:
        if not self.headers:
            return send

        from starlette.datastructures import MutableHeaders

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                for name, value in self.headers.items():
                    MutableHeaders(scope=message).setdefault(name, value)
            await send(message)

        return sending


def _address(scope: Scope) -> str:
    """Return who asks, for the audit's record; "" where the server does not know.

    A program on this machine may name any as a proxy does, so it is written down no longer than one is.
    """
    return str(scope["client"][0])[:LONGEST_ADDRESS] if scope.get("client") else ""


def _is_ours(name: str, hosts: frozenset[str] | set[str]) -> bool:
    """Say whether a name is one of ours; an address in figures is, for no page can point that elsewhere."""
    if name in hosts or "*" in hosts:
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _is_of(origin: str, host: str) -> bool:
    """Say whether an origin is of this host; what is no address is of none."""
    try:
        return urlsplit(origin).netloc.lower() == host
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return a Host header without its port."""
    return host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host
