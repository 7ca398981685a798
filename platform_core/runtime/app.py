"""The inference server as a bare ASGI application: the Open Inference Protocol V2 over REST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.runtime.answering import metadata
from loopline.platform_core.runtime.answering.answers import answered
from loopline.platform_core.runtime.answering.inference import Inference
from loopline.platform_core.runtime.lifespan import Lifespan
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.triton.extensions import Extensions
from loopline.platform_core.runtime.triton.repository import Repository
from loopline.platform_core.runtime.triton.usage_counts import UsageCounts
from loopline.platform_core.runtime.wire import openapi
from loopline.platform_core.runtime.wire.bounds import STATE, Bounds
from loopline.platform_core.runtime.wire.http import (
    LONG_BODY,
    METRICS_TYPE,
    Disconnected,
    Receive,
    Response,
    Scope,
    Send,
    as_json,
    length,
    refusal,
    respond,
)
from loopline.platform_core.runtime.wire.protocol import decode

_READING = "GET, HEAD"
_INDEX = ["v2", "repository", "index"]


class App:
    """Answers requests; what starts and ends with the process is the ``lifespan``'s business."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a worker has, each may be left out
        self,
        inference: Inference,
        lifespan: Lifespan,
        ready: Callable[[], bool],
        metrics: Metrics | None = None,
        bounds: Bounds | None = None,
        counts: UsageCounts | None = None,
    ) -> None:
        self._inference = inference
        self._lifespan = lifespan
        self._ready = ready
        self._metrics = metrics or Metrics()
        self._bounds = bounds or Bounds(Limits())
        self._repository = Repository(inference, counts or UsageCounts(self._metrics))
        self._extensions = Extensions(self._repository)
        self.bodies = self._bounds.bodies
        self.state: dict[str, Any] = {STATE: self._bounds}
        """What connections find in the application's state."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            scope["state"] |= self.state
            await self._lifespan(receive, send)
            return
        headers = dict(scope["headers"])
        try:
            response = await self._answer(scope, headers, receive)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - a mistake of ours is an answer too
            response = refusal(error)
        await respond(response, headers, send)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Response:
        method, parts = scope["method"], scope["path"].strip("/").split("/")
        match method, parts:
            case "POST", ["v2", "models", model, "infer"]:
                return await self._infer(model, "", await self.bodies.read(headers, receive), headers)
            case "POST", ["v2", "models", model, "versions", version, "infer"]:
                return await self._infer(model, version, await self.bodies.read(headers, receive), headers)
        return await self._beside("GET" if method == "HEAD" else method, parts, scope, receive)

    async def _beside(self, method: str, parts: list[str], scope: Scope, receive: Receive) -> Response:
        """Answer whatever asks for no prediction."""
        extension = await self._extensions.answer(
            method, parts, lambda: self.bodies.read(dict(scope["headers"]), receive)
        )
        if extension is not None:
            return extension
        match method, parts:
            case "GET", ["v2", "models", model, *rest]:
                return self._describe(model, rest)
            case "GET", ["metrics"]:
                return await self._counted()
            case "GET", _ if parts != _INDEX:
                return self._about(parts)
        return _not_allowed(scope["method"], scope["path"])

    async def _infer(self, model: str, version: str, body: bytes, headers: dict[bytes, bytes]) -> Response:
        self._inference.route(
            model
        )  # a name that nobody serves is not counted: callers could fill the memory with names
        with self._metrics.request(model) as watched:
            json_length = length(headers)
            if len(body) < LONG_BODY:
                request = decode(body, json_length)
            else:
                request = await asyncio.to_thread(decode, body, json_length)
            answer = await self._inference.infer(model, request, version)
            watched.version, watched.rows = answer.version, request.rows
            return answered(model, request, answer)

    def _describe(self, model: str, rest: list[str]) -> Response:
        match rest:
            case [] | ["versions", _]:
                route = self._inference.route(model)
                chosen = route.named(rest[1])[0] if rest else route.stable
                return as_json(metadata.model(model, route, chosen))
            case ["ready"]:
                self._inference.route(model)
                return as_json({"name": model, "ready": True})
            case ["versions", version, "ready"]:
                self._inference.route(model).named(version)
                return as_json({"name": model, "ready": True})
            case ["infer"] | ["versions", _, "infer"]:
                return _not_allowed("GET", f"/v2/models/{model}/{'/'.join(rest)}")
        raise NotFound(f"no {'/'.join(rest)!r} of a model", "ask for /ready, /versions/<version>, or post to /infer")

    async def _counted(self) -> Response:
        """Write the metrics in a thread, of a copy: with a thousand models that takes longer than a request may."""
        metrics, freshness, bounds = self._metrics.copy(), self._inference.freshness.copy(), [*self._bounds.lines()]

        def written() -> bytes:
            return "\n".join([*metrics.lines(), *freshness.lines(), *bounds, ""]).encode()

        return Response(await asyncio.to_thread(written), content_type=METRICS_TYPE)

    def _about(self, parts: list[str]) -> Response:
        match parts:
            case ["v2"]:
                return as_json(metadata.server())
            case ["v2", "health", "live"]:
                return as_json({"live": True})
            case ["v2", "health", "ready"]:
                return as_json({"ready": self._ready()}, 200 if self._ready() else 503)
            case ["openapi.json"]:
                return as_json(openapi.document(self._repository.outputs()))
        raise NotFound(f"no /{'/'.join(parts)}", "ask for /v2, /v2/health/ready or /v2/models/<model>")


def _not_allowed(method: str, path: str) -> Response:
    """Say which method a path knows, or that nobody knows the path."""
    match path.strip("/").split("/"):
        case ["v2", "models", _, "infer"] | ["v2", "models", _, "versions", _, "infer"] | ["v2", "repository", "index"]:
            allow = "POST"
        case ["metrics"] | ["openapi.json"] | ["v2"] | ["v2", "health", "live" | "ready"] | ["v2", "models"]:
            allow = _READING
        case ["v2", "models", _] | ["v2", "models", _, "ready" | "config" | "stats"]:
            allow = _READING
        case ["v2", "models", _, "versions", _] | ["v2", "models", _, "versions", _, "ready" | "config" | "stats"]:
            allow = _READING
        case _:
            raise NotFound(f"{method} {path} is no part of the protocol", "POST /v2/models/<model>/infer")
    return as_json({"error": f"{path} knows no {method} → use {allow}"}, 405)._replace(allow=allow.encode())
