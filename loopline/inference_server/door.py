"""Browser guard of the inference server: refuses requests from foreign web pages (Host and Origin checks).

A server on its own machine answers to this machine's names and those of ``LOOPLINE_HOSTS``. One that listens beyond is
asked by names that it does not know, such as a Service's, so any will do unless the variable names them. Where callers
show keys, and behind the paths of clouds' services, no page can ask at all, and there is no guard.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from loopline.platform_core.runtime.wire.http import Application, as_json, respond
from loopline.platform_core.sign_in_settings import is_local
from loopline.web_guard import SAFE, VARIABLE, Guard, allowed, content_type, refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_OF_FORMS = frozenset({"text/plain", "multipart/form-data"})
"""In these another site's form can send JSON or bytes; what ``curl`` and Python say by themselves is a form's too, but
writes JSON otherwise."""
_HOST, _TYPE = b"host", b"content-type"
FIX = f"ask by the server's own address, from a program, as application/json; other names are allowed in {VARIABLE}"


def names(host: str) -> tuple[str, ...]:
    """Return the names by which a server that listens at ``host`` is asked; ``*`` for any.

    "" is none: a balancer that looks whether a server lives may say none, and a browser always says one.
    """
    return (*allowed(host), "") if is_local(host) or os.environ.get(VARIABLE) else ("*",)


def guarded(app: Application, hosts: tuple[str, ...]) -> Application:
    """Stand before an application; what is refused is answered with 403 in the protocol's shape."""
    return cast("Application", Guard(cast("ASGIApp", app), hosts, _of_no_form, FIX, refused=_as_the_protocol))


def plain(hosts: tuple[str, ...]) -> Callable[[bytes, bytes], bool]:
    """Return what says of a Host or a type of content that the guard takes it, whatever else a request has."""
    ours = frozenset(hosts)

    def taken(name: bytes, value: bytes) -> bool:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [(name, value)]}
        return not refusal(scope, ours) if name == _HOST else name == _TYPE and content_type(scope) not in _OF_FORMS

    return taken


def _of_no_form(scope: Scope) -> str:
    if scope["method"] in SAFE:
        return ""
    kind = content_type(scope)
    return f"a body of {kind} is not taken" if kind in _OF_FORMS else ""


def _as_the_protocol(_: Scope, problem: str, fix: str) -> ASGIApp:
    async def refused(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - no body is read
        await respond(as_json({"error": f"{problem} → {fix}"}, 403), {}, send)

    return refused
