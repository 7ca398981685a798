"""gRPC health service (``grpc.health.v1``): readiness for load balancers, Kubernetes and gRPC clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from loopline.platform_core.runtime.grpc.descriptors import Messages, Method

LOOK_SECONDS = 0.5
_ASKS, _ANSWERS = "HealthCheckRequest", "HealthCheckResponse"
_SERVING, _NOT_SERVING, _UNKNOWN = 1, 2, 3
HEALTH = Messages(
    "grpc.health.v1",
    {_ASKS: "service:string", _ANSWERS: "status:HealthCheckResponse.ServingStatus"},
    service="Health",
    methods={"Check": Method(_ASKS, _ANSWERS), "Watch": Method(_ASKS, _ANSWERS, many_answers=True)},
    enums={f"{_ANSWERS}.ServingStatus": ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]},
)


class Health:
    """Tells of the whole server and of ``service``; nobody is asked for a key, as over HTTP.

    ``most_watchers`` callers may wait for changes at once; each of them is a call that is underway.
    """

    def __init__(self, ready: Callable[[], bool], service: str, most_watchers: int) -> None:
        self._ready, self._known = ready, ("", service, HEALTH.service)
        self._most_watchers = most_watchers
        self._watchers = 0
        self._ended = asyncio.Event()
        self._response = HEALTH.message(_ANSWERS)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server answers by."""
        how = HEALTH.message(_ASKS).FromString, self._response.SerializeToString
        return grpc.method_handlers_generic_handler(
            HEALTH.service,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check, *how),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch, *how),
            },
        )

    def end(self) -> None:
        """Tell who watches that the server serves no longer."""
        self._ended.set()

    async def _check(self, asked: Any, context: grpc.aio.ServicerContext) -> Any:
        status = self._status(asked.service)
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service of that name → ask for '' or {self._known[1]}")
        return self._response(status=status)

    async def _watch(self, asked: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        if self._watchers >= self._most_watchers:
            told = f"{self._most_watchers} callers watch already → call Check now and then"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, told)
        self._watchers += 1
        try:
            before = None
            while True:
                ended = self._ended.is_set()
                status = self._status(asked.service)
                if status != before:
                    yield self._response(status=status)
                if ended:
                    return
                before = status
                await self._a_moment()
        finally:
            self._watchers -= 1

    async def _a_moment(self) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), LOOK_SECONDS)
        except TimeoutError:
            return

    def _status(self, service: str) -> int:
        if service not in self._known:
            return _UNKNOWN
        return _SERVING if self._ready() and not self._ended.is_set() else _NOT_SERVING
