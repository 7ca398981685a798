"""Requests that nobody waits for: accepted, answered when there is time, fetched by id (RFC 7240, ``respond-async``).

It stands before the application and asks it as a caller would. What the application logs of such a request is held
until the answer is on disk, so that whoever goes on after a kill knows from the log that it was answered.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from platform_core.errors import BadRequest, LooplineError, NotFound, StoreUnavailable
from platform_core.runtime import callbacks, log
from platform_core.runtime.deferred_spool import Claim, PutOff, Result, Spool, expired
from platform_core.runtime.http import Disconnected, Receive, Scope, Send, refusal, respond
from platform_core.runtime.protocol import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from platform_core.runtime.app import App
    from platform_core.runtime.deferred_settings import DeferredSettings
    from platform_core.runtime.inference import Inference, Log
    from platform_core.runtime.log import Record

LOOK_SECONDS = 0.2
SWEEP_SECONDS = 60.0
CALLERS = 4
_LOG = logging.getLogger(__name__)
_JSON_LENGTH = b"inference-header-content-length"
_ASYNC = re.compile(rb"(?:^|,)\s*respond-async\s*(?:[,;]|$)", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{32}")
_UNAVAILABLE = 503
_held: ContextVar[list[tuple[str, Record]] | None] = ContextVar("held", default=None)


def holding(write: Log) -> Log:
    """Return a log that leaves the records of a put-off request to whoever answers it."""

    def hold(model: str, record: Record) -> None:
        held = _held.get()
        if held is None:
            write(model, record)
        else:
            held.append((model, record))

    return hold


class Deferred:
    """Accepts, answers and gives out put-off requests; everything else it hands on."""

    def __init__(
        self, app: App, inference: Inference, root: Path, settings: DeferredSettings, ready: Callable[[], bool]
    ) -> None:
        self._app, self._inference, self._root, self._settings, self._ready = app, inference, root, settings, ready
        self._spool = Spool(root)
        self._bodies = app.bodies
        self._news = asyncio.Event()
        self._callers = ThreadPoolExecutor(CALLERS, "callback")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan, along which requests are answered."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        headers, parts = dict(scope["headers"]), scope["path"].strip("/").split("/")
        is_infer = scope["method"] == "POST" and parts[:2] == ["v2", "models"] and parts[-1] == "infer"
        is_poll = scope["method"] == "GET" and parts[:2] == ["v2", "requests"]
        if not is_poll and not (is_infer and _ASYNC.search(headers.get(b"prefer", b""))):
            await self._app(scope, receive, send)
            return
        try:
            found = self._found(parts[2:]) if is_poll else await self._accept(scope["path"], parts, headers, receive)
        except Disconnected:
            return
        except LooplineError as error:
            await respond(refusal(error), headers, send)
            return
        await _send(found, send)

    async def _accept(self, path: str, parts: list[str], headers: dict[bytes, bytes], receive: Receive) -> Result:
        """Keep a request, once it is one; what the model would refuse is found when it is asked."""
        if self._spool.count() >= self._settings.requests:
            raise StoreUnavailable(f"{self._settings.requests} requests wait already", "try again later")
        body = await self._bodies.read(headers, receive)
        given = headers.get(_JSON_LENGTH)
        if given is not None and not given.isdigit():
            raise BadRequest("Inference-Header-Content-Length is no number", "send the JSON part's length")
        length = None if given is None else int(given)
        decode(body, length)
        self._inference.route(parts[2])
        callback = callbacks.asked(body, length, self._settings.callback_hosts)
        name = secrets.token_hex(16)
        request = PutOff(path, parts[2], body, length, time.time(), callback)
        await asyncio.to_thread(self._spool.put, name, request)
        self._news.set()
        return _to_come(name, [(b"preference-applied", b"respond-async")])

    def _found(self, rest: list[str]) -> Result:
        known = self._spool.state(rest[0]) if len(rest) == 1 and _ID.fullmatch(rest[0]) else False
        if known is False:
            raise NotFound(
                f"no request {'/'.join(rest)!r}",
                f"use the Location of an answer 202; answers are kept for {self._settings.keep_hours:g} hours",
            )
        return _to_come(rest[0]) if known is True else known

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [asyncio.create_task(self._run(turn)) for turn in (self._answer_all, self._call_all, self._sweep)]
        try:
            await self._app(scope, receive, send)
        finally:
            for task in tasks:
                task.cancel()
            self._callers.shutdown(wait=False, cancel_futures=True)

    async def _run(self, turn: Any) -> None:
        while True:
            try:
                await turn()
            except Exception:  # noqa: BLE001 - what is wrong with one request must not stop the others for ever
                _LOG.exception("put-off requests: %s", turn.__name__)
                await asyncio.sleep(LOOK_SECONDS)

    async def _answer_all(self) -> None:
        """Answer what waits, oldest first; sleep until there is news, or another worker may have left some."""
        self._news.clear()
        for name in await asyncio.to_thread(self._spool.waiting) if self._ready() else ():
            claim = self._spool.claim(name)
            if claim is not None:
                try:
                    await self._answer(claim)
                finally:
                    claim.let_go()
        try:
            await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)
        except TimeoutError:
            return

    async def _answer(self, claim: Claim) -> None:
        """Answer one: draft, log, result, in this order, so that a kill in between shows how far it came."""
        request, held = claim.request, list[tuple[str, Any]]()
        is_logged = claim.begun and await asyncio.to_thread(_is_logged, self._root, request, claim.id)
        if not (is_logged and self._spool.has_answer(claim.id)):
            token = _held.set(held)
            try:
                result = await self._asked(request)
            finally:
                _held.reset(token)
            if result.status == _UNAVAILABLE and not expired(request, self._settings.keep_hours * 3600):
                return
            await asyncio.to_thread(self._spool.draft, claim.id, result)
            claim.begin()
        for model, record in [] if is_logged else held:
            self._inference.log(model, msgspec.structs.replace(record, request_id=claim.id))
        await asyncio.to_thread(self._spool.finish, claim.id)

    async def _asked(self, request: PutOff) -> Result:
        """Ask the application as a caller would."""
        said: list[Any] = []
        headers = [] if request.json_length is None else [(_JSON_LENGTH, b"%d" % request.json_length)]
        scope = {"type": "http", "method": "POST", "path": request.path, "headers": headers, "query_string": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        await self._app(scope, receive, send)
        return Result(said[0]["status"], said[0]["headers"], said[1]["body"], request.callback)

    async def _call_all(self) -> None:
        """Tell the callers whose turn it is; one that does not answer keeps no other waiting, nor the log."""
        now = time.time()
        due = [(name, attempts) for name, attempts, last in self._spool.calls() if callbacks.due(attempts, last, now)]
        await asyncio.gather(*(self._call(name, attempts) for name, attempts in due))
        await asyncio.sleep(LOOK_SECONDS)

    async def _call(self, name: str, attempts: int) -> None:
        result = self._spool.state(name)
        if result is True:  # told of a moment too early
            return
        with self._spool.calling(name) as is_ours:
            if not is_ours:
                return
            is_told = result is False or await asyncio.get_running_loop().run_in_executor(
                self._callers, callbacks.told, result.callback or "", name, result.headers, result.body
            )
            given_up = not is_told and attempts + 1 >= self._settings.callback_attempts
            if given_up:
                _LOG.warning("the caller of request %s took no answer in %d attempts", name, attempts + 1)
            self._spool.called(name, done=is_told or given_up)

    async def _sweep(self) -> None:
        before = time.time() - self._settings.keep_hours * 3600
        await asyncio.to_thread(self._spool.forget, before)
        await asyncio.sleep(min(SWEEP_SECONDS, self._settings.keep_hours * 1800))


def _to_come(name: str, more: list[tuple[bytes, bytes]] | None = None) -> Result:
    headers = [(b"content-type", b"application/json"), (b"location", f"/v2/requests/{name}".encode())]
    return Result(
        202, [*headers, (b"retry-after", b"1"), *(more or ())], orjson.dumps({"id": name, "state": "waiting"})
    )


async def _send(result: Result, send: Send) -> None:
    headers = [pair for pair in result.headers if pair[0] != b"content-length"]
    headers.append((b"content-length", b"%d" % len(result.body)))
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    await send({"type": "http.response.body", "body": result.body})


def _is_logged(root: Path, request: PutOff, name: str) -> bool:
    """Look for a request in what was logged since it was accepted; its name is nobody else's."""
    for file in log.log_folder(root, request.model).glob(f"*{log.SUFFIX}"):
        may_hold = file.stat().st_mtime >= request.accepted_at - 1 and name.encode() in file.read_bytes()
        if may_hold and any(record.request_id == name for records, _ in log.read(file) for record in records):
            return True
    return False
