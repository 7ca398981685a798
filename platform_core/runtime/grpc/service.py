"""gRPC inference service: the Open Inference Protocol V2, in the process and event loop that answer REST.

The same ``Inference`` answers, so that errors, split and prediction log are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
from google.protobuf.json_format import ParseDict

from loopline.platform_core.runtime.answering import metadata
from loopline.platform_core.runtime.answering.inference import Inference
from loopline.platform_core.runtime.grpc import codec
from loopline.platform_core.runtime.grpc.errors import Call, safe
from loopline.platform_core.runtime.grpc.messages import METHODS, SERVICE, TRITON, message
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.triton.repository import Repository
from loopline.platform_core.runtime.triton.unoffered import unoffered
from loopline.platform_core.runtime.triton.usage_counts import UsageCounts
from loopline.platform_core.runtime.wire.http import LONG_BODY

Ready = Callable[[], bool]
_UNOFFERED = {
    "RepositoryModelLoad": "load",
    "RepositoryModelUnload": "unload",
    "SystemSharedMemoryRegister": "memory",
    "CudaSharedMemoryRegister": "memory",
    "TraceSetting": "trace",
    "LogSettings": "log",
}
_NOTHING = (
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryUnregister",
)


class GrpcGuard(Protocol):
    """What may stand before every call, such as a gateway."""

    async def through(
        self, name: str, asked: Any, call: Callable[[Any], Awaitable[Any]], context: grpc.aio.ServicerContext
    ) -> Any:
        """Answer by ``call``, or refuse."""


class GrpcService:
    """Answers the protocol's six calls and some of Triton's; the messages' classes are made once."""

    def __init__(
        self,
        inference: Inference,
        metrics: Metrics,
        ready: Ready,
        gateway: GrpcGuard | None = None,
        counts: UsageCounts | None = None,
    ) -> None:
        self._inference, self._metrics, self._gateway = inference, metrics, gateway
        self._repository = Repository(inference, counts or UsageCounts(metrics))
        self.ready = ready
        self._responses = {name: message(f"{name}Response") for name in METHODS}

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server answers by."""
        calls = {name: self._describing(name) for name in METHODS} | {"ModelInfer": self.model_infer}
        answered = {
            name: grpc.unary_unary_rpc_method_handler(
                safe(self._guarded(name, call), message(f"{name}Request").FromString),
                None,
                self._responses[name].SerializeToString,
            )
            for name, call in calls.items()
        }
        refused = {name: self._refusing(name, what) for name, what in _UNOFFERED.items()}
        stream = grpc.stream_stream_rpc_method_handler(safe(self._guarded("ModelStreamInfer", _refuse("stream"))))
        nothing = {name: self._handler(name, _nothing) for name in _NOTHING}
        return grpc.method_handlers_generic_handler(
            SERVICE, answered | refused | nothing | {"ModelStreamInfer": stream}
        )

    async def enter(self, name: str, context: grpc.aio.ServicerContext) -> None:
        """Let a caller through to what is no single call, such as reflection.

        Raises:
            BadRequest: the gateway knows no such caller.
        """
        await self._guarded(name, _nothing)(None, context)

    def _refusing(self, name: str, what: str) -> grpc.RpcMethodHandler:
        return self._handler(name, _refuse(what))

    def _handler(self, name: str, call: Callable[[Any], Awaitable[bytes]]) -> grpc.RpcMethodHandler:
        """Handle a call whose message does not matter."""
        return grpc.unary_unary_rpc_method_handler(safe(self._guarded(name, call), lambda _: None))

    def _guarded(self, name: str, call: Callable[[Any], Awaitable[Any]]) -> Call:
        gateway = self._gateway
        if gateway is None:
            return lambda asked, _: call(asked)
        return lambda asked, context: gateway.through(name, asked, call, context)

    async def model_infer(self, asked: Any) -> Any:
        """Answer a ``ModelInferRequest``."""
        self._inference.route(asked.model_name)  # a name that nobody serves is not counted
        with self._metrics.request(asked.model_name) as watched:
            if asked.ByteSize() < LONG_BODY:
                request = codec.decode(asked)
            else:
                request = await asyncio.to_thread(codec.decode, asked)
            answer = await self._inference.infer(asked.model_name, request, asked.model_version)
            watched.version, watched.rows = answer.version, request.rows
            return codec.encode(self._responses["ModelInfer"](), asked.model_name, request, answer)

    def describe(self, name: str, asked: Any) -> dict[str, Any]:
        """Return the fields of the answer to a call that asks about server or model."""
        match name:
            case "ServerLive":
                return {"live": True}
            case "ServerReady":
                return {"ready": self.ready()}
            case "ServerMetadata":
                return metadata.server()
        route = self._inference.route(asked.name)
        chosen = route.named(asked.version)[0] if asked.version else route.stable
        if name == "ModelReady":
            return {"ready": True}
        said = metadata.model(asked.name, route, chosen)
        return {field: value for field, value in said.items() if field != "parameters"}

    def _describing(self, name: str) -> Callable[[Any], Awaitable[Any]]:
        async def call(asked: Any) -> Any:
            return self._responses[name](**self.describe(name, asked))

        async def call_triton(asked: Any) -> Any:
            return ParseDict(await self._triton_fields(name, asked), self._responses[name]())

        return call_triton if name in TRITON else call

    async def _triton_fields(self, name: str, asked: Any) -> dict[str, Any]:
        """Return the fields of the answer to a call of Triton's own."""
        match name:
            case "RepositoryIndex":
                if asked.repository_name:
                    raise unoffered("repository")
                return {"models": self._repository.index(ready_only=asked.ready)}
            case "ModelConfig":
                return {"config": self._repository.config(asked.name, asked.version)}
        return {"model_stats": await self._repository.statistics(asked.name, asked.version)}


def _refuse(what: str) -> Callable[[Any], Awaitable[Any]]:
    async def call(_: Any) -> Any:
        raise unoffered(what)

    return call


async def _nothing(_: Any) -> bytes:
    """Answer by an empty message: no memory is registered, and after clearing none is."""
    return b""
