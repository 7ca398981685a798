"""Worker of deferred requests: answers them and calls their callers back.

The application is asked as a caller would ask it. What it logs of such a request is held until the answer is on disk,
so that whoever goes on after a kill knows from the log that it was answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loopline.deferred.callers import Callers
from loopline.deferred.request_queue import Claim, PutOff, Result, Spool, expired
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.wire.http import JSON_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.platform_core.runtime.answering.inference import Inference, Log
    from loopline.platform_core.runtime.app import App
    from loopline.platform_core.runtime.prediction_log.log import Record
    from loopline.platform_core.runtime.settings.deferred import DeferredSettings

LOOK_SECONDS = 0.2
SWEEP_SECONDS = 60.0
_LOG = logging.getLogger(__name__)
_LATER = (429, 503)
"""Answers after which a request waits on: there is room again, or a store answers."""
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


class Means(NamedTuple):
    """What answers: the application and its inference, the log's root, and whether every model has been looked at."""

    app: App
    inference: Inference
    root: Path
    ready: Callable[[], bool]


class DeferredWorker:
    """One process's share of what was put off; ``news`` says that something was."""

    def __init__(self, means: Means, spool: Spool, settings: DeferredSettings) -> None:
        self._means, self._spool, self._settings = means, spool, settings
        self._callers = Callers(spool, settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._quiet = spool.quiet("waiting")
        self.news = asyncio.Event()

    def open(self) -> None:
        """Begin to answer, to tell callers, and to forget old answers."""
        turns = (self._answer_all, self._callers.call_all, self._sweep)
        self._tasks = [asyncio.create_task(self._run(turn)) for turn in turns]

    async def close(self) -> None:
        """Stop; what is not done is left to others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._callers.close()

    async def _run(self, turn: Any) -> None:
        while True:
            try:
                await turn()
            except Exception:  # noqa: BLE001 - what is wrong with one request must not stop the others for ever
                _LOG.exception("put-off requests: %s", turn.__name__)
                await asyncio.sleep(LOOK_SECONDS)

    async def _answer_all(self) -> None:
        """Answer what waits, oldest first; sleep until there is news, or another worker may have left some."""
        self.news.clear()
        for name in await self._waiting() if self._means.ready() else ():
            claim = self._spool.claim(name)
            if claim is not None:
                try:
                    await self._answer(claim)
                finally:
                    claim.let_go()
        looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self.news.set)
        try:
            await self.news.wait()
        finally:
            looking.cancel()

    async def _waiting(self) -> list[str]:
        """List what waits, in a thread; where nothing did and nothing has come since, none is woken."""
        changed = self._quiet.changed()
        if changed is None:
            return []
        waiting = await asyncio.to_thread(self._spool.waiting)
        self._quiet.saw(changed, empty=not waiting)
        return waiting

    async def _answer(self, claim: Claim) -> None:
        """Answer one: draft, log, result, in this order, so that a kill in between shows how far it came."""
        request, held = claim.request, list[tuple[str, Any]]()
        is_logged = claim.begun and await asyncio.to_thread(_is_logged, self._means.root, request, claim.id)
        if not (is_logged and self._spool.has_answer(claim.id)):
            token = _held.set(held)
            try:
                result = await self._application_answer(request)
            finally:
                _held.reset(token)
            if result.status in _LATER and not expired(request, self._settings.keep_hours * 3600):
                return
            await asyncio.to_thread(self._spool.draft, claim.id, result)
            claim.begin()
        for model, record in [] if is_logged else held:
            self._means.inference.log(model, msgspec.structs.replace(record, request_id=claim.id))
        await asyncio.to_thread(self._spool.finish, claim.id)

    async def _application_answer(self, request: PutOff) -> Result:
        """Ask the application as a caller would."""
        said: list[Any] = []
        headers = [] if request.json_length is None else [(JSON_LENGTH, b"%d" % request.json_length)]
        scope = {"type": "http", "method": "POST", "path": request.path, "headers": headers, "query_string": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        await self._means.app(scope, receive, send)
        return Result(said[0]["status"], said[0]["headers"], said[1]["body"], request.callback)

    async def _sweep(self) -> None:
        before = time.time() - self._settings.keep_hours * 3600
        await asyncio.to_thread(self._spool.forget, before)
        await asyncio.sleep(min(SWEEP_SECONDS, self._settings.keep_hours * 1800))


def _is_logged(root: Path, request: PutOff, name: str) -> bool:
    """Look for a request in what was logged since it was accepted; its name is nobody else's."""
    for file in log.log_folder(root, request.model).glob(f"*{log.SUFFIX}"):
        may_hold = file.stat().st_mtime >= request.accepted_at - 1 and name.encode() in file.read_bytes()
        if may_hold and any(record.request_id == name for records, _ in log.read(file) for record in records):
            return True
    return False
