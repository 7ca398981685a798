"""Authentication middleware around the portal, Dagster's pages and the feature service.

Who it is stands in the scope for whatever is below (``identity.caller``). A browser without a session is led to sign
in; a program is answered 401; a websocket is not opened, and closed when its session ends.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse

from loopline.platform_core.errors import BadRequest, LooplineError, Transient
from loopline.platform_core.identity.caller import SCOPE, Caller
from loopline.sign_in import cookies, destination
from loopline.sign_in.desk import HELD_SECONDS, Desk
from loopline.sign_in.pages import Pages

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = ("/static/",)
"""Below these lie files that are everybody's: styles, scripts, pictures."""
UNKNOWN, UNAVAILABLE = 401, 503
FIX = "sign in at /sign-in; a program sends 'Authorization: Bearer <token>'"
_BEARER = "bearer "


class SignIn:
    """Wraps an application. ``open_paths`` are answered to everybody, such as what says that a server lives."""

    def __init__(
        self, app: ASGIApp, desk: Desk, open_paths: frozenset[str] = frozenset(), static: tuple[str, ...] = STATIC
    ) -> None:
        self.app, self.desk, self.open_paths, self.static = app, desk, open_paths, static
        self.pages = Pages(desk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer who is known; lead others to sign in, or refuse them."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http" and await self._answered_to_all(scope, receive, send):
            return
        word = self._word(scope)
        try:
            caller = await self._caller(word)
        except LooplineError as error:
            await _refuse(scope, receive, send, error)
            return
        if caller is None:
            await self._refuse_unknown(scope, receive, send)
        elif scope["type"] == "http":
            await self.app({**scope, SCOPE: caller}, receive, send)
        else:
            await self._live({**scope, SCOPE: caller}, receive, send, word)

    async def _answered_to_all(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer what needs no session: signing in, static files, and what says that a server lives."""
        path = scope["path"]
        if path in self.open_paths or (path.startswith(self.static) and ".." not in path):
            await self.app(scope, receive, send)
            return True
        if not path.startswith(destination.OURS):
            return False
        response = await self.pages.answer(Request(scope, receive))
        if response is not None:
            await response(scope, receive, send)
        return response is not None

    def _word(self, scope: Scope) -> str:
        """Return by what a request says who it is: its bearer's token, else its cookie, "" for neither."""
        given = Headers(scope=scope).get("authorization")
        if given is not None:
            return given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
        secure = cookies.is_secure(scope, self.desk.settings.https)
        return cookies.read(scope["headers"], cookies.SESSION, secure)

    async def _caller(self, word: str, used: bool = True) -> Caller | None:
        if not word:
            return None
        held = self.desk.held(word)
        return held if held is not None else await run_in_threadpool(self.desk.caller, word, used)

    async def _refuse_unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_a_person_s(scope):
            query = scope["query_string"].decode("latin-1")
            wanted = scope.get("raw_path") or scope["path"].encode()
            path = wanted.decode("latin-1").partition("?")[0] + (f"?{query}" if query else "")
            response: Response = RedirectResponse(destination.sign_in(path), 303, {"cache-control": "no-store"})
            await response(scope, receive, send)
        else:
            await _refuse(scope, receive, send, BadRequest("who asks has not signed in", FIX, UNKNOWN))

    async def _live(self, scope: Scope, receive: Receive, send: Send, word: str) -> None:
        """Serve a websocket as long as its session, or its token, lasts."""
        sending, over = asyncio.Lock(), False

        async def in_turn(message: Message) -> None:
            async with sending:
                if not over:
                    await send(message)

        served = asyncio.ensure_future(self.app(scope, receive, in_turn))
        try:
            while not served.done():
                await asyncio.wait({served}, timeout=HELD_SECONDS)
                if not served.done() and not await self._still(word):
                    async with sending:
                        over = True
                        await send({"type": "websocket.close", "code": 1008, "reason": "the session is over"})
                    served.cancel()
                    break
            with suppress(asyncio.CancelledError):
                await served
        finally:
            served.cancel()

    async def _still(self, word: str) -> bool:
        """Say whether a session or a token still holds; while the ledger does not answer, what was known does."""
        try:
            return await self._caller(word, used=False) is not None
        except Transient:
            return True
        except LooplineError:
            return False


def _is_a_person_s(scope: Scope) -> bool:
    """Say whether a browser opens a page, rather than a program or a script asking for something."""
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or scope.get("loopline.json"):
        return False
    headers = Headers(scope=scope)
    if "authorization" in headers or headers.get("sec-fetch-mode", "navigate") != "navigate":
        return False
    return "text/html" in headers.get("accept", "")


async def _refuse(scope: Scope, receive: Receive, send: Send, error: LooplineError) -> None:
    """Refuse as every service of ours does: ``{"error": {"problem": ..., "fix": ...}}``."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.problem[:100]})
        return
    status = error.status if isinstance(error, BadRequest) else UNAVAILABLE if isinstance(error, Transient) else 500
    headers = {"cache-control": "no-store"} | ({"www-authenticate": "Bearer"} if status == UNKNOWN else {})
    body = {"error": {"problem": error.problem, "fix": error.fix}}
    await JSONResponse(body, status, headers)(scope, receive, send)
