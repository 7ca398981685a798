"""The Open Inference Protocol V2 over gRPC, in the process and the event loop that answer REST.

The same ``Inference`` answers, so that errors, split and prediction log are the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from platform_core.errors import BadRequest, LooplineError, NotFound, Transient
from platform_core.runtime import grpc_codec, metadata
from platform_core.runtime.gateway_settings import Tls
from platform_core.runtime.grpc_gateway import GrpcGateway
from platform_core.runtime.grpc_messages import METHODS, SERVICE, message
from platform_core.runtime.http import LONG_BODY
from platform_core.runtime.inference import Inference
from platform_core.runtime.limits import Limits
from platform_core.runtime.metrics import Metrics

Ready = Callable[[], bool]
Call = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]
_LOG = logging.getLogger(__name__)
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_IDLE_MS = 10 * 60 * 1000
_GRACE_SECONDS = 5.0
_MOST_SAID = 2_000
"""How many bytes problem and fix of an error may have each: with trailers above 8 KB gRPC may lose the code too."""


class GrpcService:
    """Answers the protocol's six calls; the messages' classes are made once."""

    def __init__(
        self, inference: Inference, metrics: Metrics, ready: Ready, gateway: GrpcGateway | None = None
    ) -> None:
        self._inference, self._metrics, self._ready, self._gateway = inference, metrics, ready, gateway
        self._responses = {name: message(f"{name}Response") for name in METHODS}

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server answers by."""
        calls = {name: self._describing(name) for name in METHODS} | {"ModelInfer": self.model_infer}
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    _safe(self._guarded(name, call), message(f"{name}Request").FromString),
                    None,
                    self._responses[name].SerializeToString,
                )
                for name, call in calls.items()
            },
        )

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
                request = grpc_codec.decode(asked)
            else:
                request = await asyncio.to_thread(grpc_codec.decode, asked)
            answer = await self._inference.infer(asked.model_name, request, asked.model_version)
            watched.version, watched.rows = answer.version, request.rows
            return grpc_codec.encode(self._responses["ModelInfer"](), asked.model_name, request, answer)

    def describe(self, name: str, asked: Any) -> dict[str, Any]:
        """Return the fields of the answer to a call that asks about server or model."""
        match name:
            case "ServerLive":
                return {"live": True}
            case "ServerReady":
                return {"ready": self._ready()}
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

        return call


class GrpcPort:
    """The server on ``host:port``, which the workers share."""

    def __init__(self, service: GrpcService, address: str, limits: Limits, tls: Tls | None = None) -> None:
        self._service, self._address, self._limits, self._tls = service, address, limits, tls

    async def open(self) -> None:
        """Listen; called in the event loop that is to answer."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", self._limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_connection_idle_ms", _IDLE_MS),
                ("grpc.server_handshake_timeout_ms", int(self._limits.receive_seconds * 1000)),
                ("grpc.max_concurrent_streams", self._limits.requests),
            ],
            maximum_concurrent_rpcs=self._limits.requests,
        )
        self._server.add_generic_rpc_handlers((self._service.handlers(),))
        if self._tls is None:
            self._server.add_insecure_port(self._address)
        else:
            self._server.add_secure_port(self._address, _credentials(self._tls))
        await self._server.start()

    async def close(self) -> None:
        """Take no more requests, and wait for those that are underway."""
        await self._server.stop(_GRACE_SECONDS)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    clients = tls.clients.read_bytes() if tls.clients else None
    own = (tls.key.read_bytes(), tls.certificate.read_bytes())
    return grpc.ssl_server_credentials([own], clients, require_client_auth=clients is not None)


def _safe(call: Call, parse: Callable[[bytes], Any]) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[Any]]:
    """Read the message and say what went wrong by gRPC's codes; gRPC itself calls an unreadable message our fault."""

    async def answer(received: bytes, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await call(parse(received), context)
        except DecodeError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no message of the protocol: {error} → send one")
        except LooplineError as error:
            await context.abort(_code(error), f"{_short(error.problem)} → {_short(error.fix)}")
        except Exception:  # noqa: BLE001 - a mistake of ours is an answer too
            _LOG.exception("a gRPC request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "the server failed → see its log")

    return answer


def _short(text: str) -> str:
    """Cut a text to what fits, as gRPC writes it: a byte that is not printable ASCII takes three."""
    sizes = accumulate(map(_size, text[:_MOST_SAID]))
    fits = sum(size <= _MOST_SAID for size in sizes)
    return text if fits == len(text) else f"{text[:fits]} …"


def _size(letter: str) -> int:
    return 1 if " " <= letter <= "~" and letter != "%" else 3 * len(letter.encode(errors="replace"))


def _code(error: LooplineError) -> grpc.StatusCode:
    match error:
        case BadRequest() if error.status in _CODES:
            return _CODES[error.status]
        case BadRequest():
            return grpc.StatusCode.INVALID_ARGUMENT
        case NotFound():
            return grpc.StatusCode.NOT_FOUND
        case Transient():
            return grpc.StatusCode.UNAVAILABLE
        case _:
            return grpc.StatusCode.INTERNAL
