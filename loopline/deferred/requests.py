"""HTTP API of deferred requests: accept, poll and fetch by id (RFC 7240, ``respond-async``).

It stands before the application; ``worker`` answers.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING

import orjson

from loopline.deferred import callbacks
from loopline.deferred.request_queue import PutOff, Result, Spool
from loopline.deferred.worker import DeferredWorker, Means
from loopline.platform_core.errors import NotFound, StoreUnavailable
from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.wire.http import Disconnected, Receive, Scope, Send, length, refusal, respond
from loopline.platform_core.runtime.wire.protocol import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.platform_core.runtime.answering.inference import Inference
    from loopline.platform_core.runtime.settings.deferred import DeferredSettings

_ASYNC = re.compile(rb"(?:^|,)\s*respond-async\s*(?:[,;]|$)", re.IGNORECASE)
REQUESTS = "/v2/requests/"
_INFER = re.compile(r"v2/models/[^/]+(/versions/[^/]+)?/infer")
_ID = re.compile(r"[0-9a-f]{32}")


class Deferred:
    """Accepts, answers and gives out put-off requests; everything else it hands on."""

    def __init__(
        self, app: App, inference: Inference, root: Path, settings: DeferredSettings, ready: Callable[[], bool]
    ) -> None:
        self._app, self._inference, self._settings = app, inference, settings
        self._spool = Spool(root)
        self._worker = DeferredWorker(Means(app, inference, root, ready), self._spool, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is put off; the application serves all else."""
        is_poll = scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(REQUESTS)
        if not is_poll and not _is_put_off(scope):
            await self._app(scope, receive, send)
            return
        headers, parts = dict(scope["headers"]), scope["path"].strip("/").split("/")
        try:
            found = self._result(parts[2:]) if is_poll else await self._accept(scope["path"], parts, headers, receive)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - a mistake of ours is an answer too
            await respond(refusal(error), headers, send)
            return
        await _send(found, send)

    async def open(self) -> None:
        """Begin to answer what waits, beside all else that a server does."""
        self._worker.open()

    async def close(self) -> None:
        """Stop answering, while the log is still open."""
        await self._worker.close()

    async def _accept(self, path: str, parts: list[str], headers: dict[bytes, bytes], receive: Receive) -> Result:
        """Keep a request, once it is one; what the model would refuse is found when it is asked."""
        if self._spool.count() >= self._settings.requests:
            raise StoreUnavailable(f"{self._settings.requests} requests wait already", "try again later")
        if not _INFER.fullmatch("/".join(parts)):
            raise NotFound(f"{path} is no part of the protocol", "POST /v2/models/<model>/infer")
        body = await self._app.bodies.read(headers, receive)
        json_length = length(headers)
        decode(body, json_length)
        self._inference.route(parts[2])
        callback = callbacks.callback_of(body, json_length, self._settings.callback_hosts)
        name = secrets.token_hex(16)
        request = PutOff(path, parts[2], body, json_length, time.time(), callback)
        await asyncio.to_thread(self._spool.put, name, request)
        self._worker.news.set()
        return _to_come(name, [(b"preference-applied", b"respond-async")])

    def _result(self, rest: list[str]) -> Result:
        known = self._spool.state(rest[0]) if len(rest) == 1 and _ID.fullmatch(rest[0]) else False
        if known is False:
            raise NotFound(
                f"no request {'/'.join(rest)!r}",
                f"use the Location of an answer 202; answers are kept for {self._settings.keep_hours:g} hours",
            )
        return _to_come(rest[0]) if known is True else known


def _is_put_off(scope: Scope) -> bool:
    """Say whether a request asks for inference and does not wait; every request passes here, so it costs little."""
    if scope["type"] == "http":
        for name, value in scope["headers"]:
            if name == b"prefer" and _ASYNC.search(value):
                return bool(scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/infer"))
    return False


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
