"""Sign-in routes of a browser: ``/sign-in``, ``/sign-in/callback``, ``/sign-out``.

And ``/sign-in/back-channel``, where the provider says by itself that somebody has signed out there.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from loopline.platform_core.errors import BadRequest, Denied, LooplineError, Overloaded, StoreUnavailable
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.sessions import PREFIX
from loopline.sign_in import cookies, destination, shown
from loopline.sign_in.desk import Arrival, Desk, form_token, is_form_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SIGN_IN, CALLBACK, SIGN_OUT = "/sign-in", "/sign-in/callback", "/sign-out"
BACK_CHANNEL = "/sign-in/back-channel"
WRONG = Denied("name or password is wrong", "try again; whoever keeps the accounts gives a new password")
LARGEST = 16_384
"""Bytes of a form."""
FORBIDDEN, NOT_ALLOWED, SEE_OTHER = 403, 405, 303
UNKNOWN, NOT_TAKEN = 401, 400


@dataclass(frozen=True)
class Pages:
    """The pages of one server."""

    desk: Desk

    async def answer(self, request: Request) -> Response | None:
        """Answer what belongs to signing in and out; None for any other address."""
        path = request.scope["path"]
        if path == shown.STYLE:
            return shown.style()
        if path == BACK_CHANNEL:
            return await self._left(request)
        ways = {SIGN_IN: (self._form, self._signed), CALLBACK: (self._back, None), SIGN_OUT: (self._ask, self._out)}
        if path not in ways:
            return None
        look, act = ways[path]
        does: Callable[[Request], Awaitable[Response]] | None = (
            look if request.method in {"GET", "HEAD"} else act if request.method == "POST" else None
        )
        if does is None:
            return Response(status_code=NOT_ALLOWED)
        try:
            return await does(request)
        except LooplineError as error:
            return shown.failed(error, _status(error))

    async def _left(self, request: Request) -> Response:
        """Hear the provider: it has no session here, its token stands for itself."""
        if request.method != "POST":
            return Response(status_code=NOT_ALLOWED)
        kept = {"cache-control": "no-store"}
        try:
            token = (await _sent(request)).get("logout_token", "")
            await run_in_threadpool(self.desk.left, token)
        except LooplineError as error:
            told = {"error": "invalid_request", "error_description": error.problem}
            status = _status(error)
            return JSONResponse(told, NOT_TAKEN if status == UNKNOWN else status, kept)
        return Response(status_code=200, headers=kept)

    async def _form(self, request: Request) -> Response:
        """Show the form, or lead to the provider; who is signed in goes on."""
        there = destination.safe(request.query_params.get("next", ""))
        if await self._who(request) is not None:
            return RedirectResponse(there, SEE_OTHER)
        browser = self._cookie(request, cookies.BROWSER) or secrets.token_urlsafe(32)
        if self.desk.provider is None:
            response = shown.form(form_token(browser), there)
        else:
            response = RedirectResponse(await run_in_threadpool(self._away, request, browser, there), SEE_OTHER)
        self._give(request, response, cookies.BROWSER, browser)
        return response

    def _away(self, request: Request, browser: str, there: str) -> str:
        provider = self.desk.provider
        assert provider is not None  # asked where there is one
        state, way = self.desk.started.begin(browser, there)
        return provider.address(self._here(request, CALLBACK), state, way.nonce, way.verifier)

    async def _signed(self, request: Request) -> Response:
        """Take name and password, from our own form in this browser only."""
        given = await _sent(request)
        if self.desk.provider is not None:
            raise BadRequest("who signs in here does so at the provider", "open /sign-in", FORBIDDEN)
        browser = self._cookie(request, cookies.BROWSER)
        if not is_form_token(browser, given.get("token", "")):
            raise BadRequest("the form does not come from this page, or the browser keeps no cookie", "try again", 403)
        there, name = destination.safe(given.get("next", "")), given.get("name", "")
        before = self._cookie(request, cookies.SESSION)
        try:
            word = await run_in_threadpool(
                self.desk.sign_in, name, given.get("password", ""), _address(request), before
            )
        except BadRequest as error:
            return shown.form(form_token(browser), there, name, error, error.status)
        if not word:
            return shown.form(form_token(browser), there, name, WRONG, FORBIDDEN)
        return self._let_in(request, word, there)

    async def _back(self, request: Request) -> Response:
        """Take who comes back from the provider, by the browser that began, once."""
        asked = request.query_params
        if asked.get("iss", self.desk.settings.issuer) != self.desk.settings.issuer or self.desk.provider is None:
            raise BadRequest("another provider answered", "sign in again", FORBIDDEN)
        came = Arrival(
            asked.get("state", ""),
            self._cookie(request, cookies.BROWSER),
            asked.get("code", ""),
            asked.get("error", "nothing")[:100],
            _address(request),
            self._cookie(request, cookies.SESSION),
        )
        word, there = await run_in_threadpool(self.desk.arrived, came, self._here(request, CALLBACK))
        return self._let_in(request, word, there)

    def _let_in(self, request: Request, word: str, there: str) -> Response:
        response = RedirectResponse(destination.safe(there), SEE_OTHER)
        self._give(request, response, cookies.SESSION, word)
        cookies.take(response, cookies.BROWSER, self._secure(request))
        return response

    async def _ask(self, request: Request) -> Response:
        """Ask whether to sign out: a link, or an image of another page, ends no session."""
        caller, word = await self._who(request), self._cookie(request, cookies.SESSION)
        return shown.left() if caller is None else shown.leaving(form_token(word), caller.name)

    async def _out(self, request: Request) -> Response:
        """End the session here, and lead to where it is ended at the provider."""
        given, word = await _sent(request), self._cookie(request, cookies.SESSION)
        if not is_form_token(word, given.get("token", "")):
            raise BadRequest("the form does not come from this session's page", "open /sign-out", FORBIDDEN)
        elsewhere = await run_in_threadpool(self.desk.sign_out, word, self._here(request, SIGN_OUT))
        response = shown.left(elsewhere)
        cookies.take(response, cookies.SESSION, self._secure(request))
        return response

    async def _who(self, request: Request) -> Caller | None:
        word = self._cookie(request, cookies.SESSION)
        return await run_in_threadpool(self.desk.caller, word) if word.startswith(PREFIX) else None

    def _here(self, request: Request, path: str) -> str:
        """Return an address of this server as the browser knows it; the guard has looked at the name."""
        scheme = "https" if self._secure(request) else "http"
        return f"{scheme}://{request.headers.get('host', '')}{path}"

    def _secure(self, request: Request) -> bool:
        return cookies.is_secure(request.scope, self.desk.settings.https)

    def _cookie(self, request: Request, name: str) -> str:
        return cookies.read(request.scope["headers"], name, self._secure(request))

    def _give(self, request: Request, response: Response, name: str, value: str) -> None:
        cookies.give(response, name, value, self._secure(request))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _sent(request: Request) -> dict[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise BadRequest("the form is too large", "send name and password only", 413)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
    except ValueError:
        raise BadRequest("the form cannot be read", "send it as a browser does") from None


def _status(error: LooplineError) -> int:
    if isinstance(error, BadRequest):
        return error.status
    return 503 if isinstance(error, StoreUnavailable | Overloaded) else 400
