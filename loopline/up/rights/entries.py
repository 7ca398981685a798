"""Access checks before each route and websocket of Dagster's web server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from loopline.platform_core.errors import Denied, LooplineError
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.identity.caller import caller_of
from loopline.up.rights.permissions import READ, RUN
from loopline.up.rights.routes import ROUTES, Need
from loopline.web_guard import as_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loopline.asset_defs.private.dagster_web_things import Things
    from loopline.platform_core.identity.caller import Caller
    from loopline.up.rights.policies import Policies, Why

ALIVE = "loopline.alive"
"""Where an ASGI scope holds what says whether its session still is; left out, it is as long as its connection."""
ASK_SECONDS = 5.0
"""Between two questions whether whoever opened a websocket may still have it."""
ENDED = 4401
"""What a websocket is closed with when its session is over, or its person's last role is gone."""


class Entry:
    """Lets a request in where its caller has what the route needs; where nobody is asked to sign in, everybody.

    A program of the platform's own asks for what it is there for, whatever the file of roles says.
    """

    def __init__(self, path: str, app: ASGIApp, things: Callable[[], Things], policies: Policies) -> None:
        self._path, self._app, self._things, self._policies = path, app, things, policies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403; a websocket is refused before it is opened."""
        caller = caller_of(scope)
        if caller is None or caller.is_platform:
            await self._app(scope, receive, send)
            return
        try:
            await run_in_threadpool(self._refuse, scope, caller)
        except LooplineError as error:
            await _refused(scope, receive, send, error)
            return
        if scope["type"] == "websocket":
            await Watched(scope, receive, send, lambda: self._policies.why_not_in(caller)).run(self._app)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except LooplineError as error:
            if begun:
                raise
            await _refused(scope, receive, send, error)

    def _refuse(self, scope: Scope, caller: Caller) -> None:
        need = ROUTES.get(self._path)
        if need is None:
            raise Denied(f"nobody has said who may ask for {self._path}", "name it beside the others, in routes.py")
        if need is Need.SIGNED_IN:
            return
        _refuse_why(self._policies.why_not_in(caller))
        if need is Need.PRINTED:
            refuse_printed(self._policies, caller, self._things(), _log_key(scope))
        elif need is Need.NOTEBOOK:
            location = QueryParams(scope["query_string"]).get("repoLocName", "")
            _refuse_why(self._policies.why_not(caller, RUN, location or PLATFORM))


def refuse_printed(policies: Policies, caller: Caller, things: Things, log_key: list[str]) -> None:
    """Hold somebody to the logs of runs of teams in which a role lets them be read; a log's key begins with its run.

    Raises:
        Denied: this one may not, or the key leads elsewhere than it begins.
    """
    if not log_key or any(_leads_away(part) for part in log_key):
        raise Denied(f"{'/'.join(log_key)!r} is no log's key", "ask for a log as its run's page does")
    for location in things.run(log_key[0]):
        _refuse_why(policies.why_not(caller, READ, location))


def _leads_away(part: str) -> bool:
    return part in {"", ".", ".."} or any(mark in part for mark in "/\\\0")


def _log_key(scope: Scope) -> list[str]:
    """Return the key of the log that a path names: of a download, without its ending; of a run, the run's id."""
    given = scope["path_params"]
    return given["path"].split("/")[:-1] if "path" in given else [given["run_id"]]


def _refuse_why(why: Why | None) -> None:
    if why is not None:
        raise Denied(why.problem, why.fix)


async def _refused(scope: Scope, receive: Receive, send: Send, error: LooplineError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": ENDED, "reason": error.problem[:120]})
    else:
        await as_json(scope, error.problem, error.fix)(scope, receive, send)


class Watched:
    """A websocket that ends when its session does, or its person's last role is gone.

    It is asked before each message that comes in, and every few seconds.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, why_not: Callable[[], object]) -> None:
        self._scope, self._receive, self._send, self._why_not = scope, receive, send, why_not
        self._over = asyncio.Event()

    async def run(self, app: ASGIApp) -> None:
        """Let the application have it until it is over."""
        watching = asyncio.ensure_future(self._watch())
        try:
            await app(self._scope, self._receiving, self._sending)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        while not self._over.is_set():
            await asyncio.sleep(ASK_SECONDS)
            await self._ask()

    async def _receiving(self) -> Message:
        """Return what comes, or that it is over: whichever is first."""
        coming = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((coming, over), return_when=asyncio.FIRST_COMPLETED)
            if coming.done() and await self._still(coming.result()):
                return coming.result()
            return {"type": "websocket.disconnect", "code": ENDED}
        finally:
            for each in (coming, over):
                each.cancel()

    async def _still(self, message: Message) -> bool:
        return message["type"] != "websocket.receive" or await self._ask()

    async def _sending(self, message: Message) -> None:
        if not self._over.is_set():
            await self._send(message)

    async def _ask(self) -> bool:
        """Ask once, and close where the answer is no; whatever cannot be asked is no."""
        if not self._over.is_set() and not await self._is_alive():
            self._over.set()
            with suppress(Exception):  # whoever is away needs no word of it
                await self._send({"type": "websocket.close", "code": ENDED, "reason": "the session is over"})
        return not self._over.is_set()

    async def _is_alive(self) -> bool:
        try:
            return not await run_in_threadpool(self._why_not) and await _alive(self._scope.get(ALIVE))
        except Exception:  # noqa: BLE001 - whoever keeps sessions may fail in ways of its own
            return False


async def _alive(asked: Any) -> bool:
    if asked is None:
        return True
    answer = await run_in_threadpool(asked)
    return bool(await answer if isawaitable(answer) else answer)
