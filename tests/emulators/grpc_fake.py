"""A strict server of a Google service over gRPC: real messages on the wire, methods as the client's transport has them.

Every call must bear a token that a service account of ours has signed; a method that is not written is UNIMPLEMENTED.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


class _Recorder:
    """A channel that only writes down which methods a transport has."""

    def __init__(self) -> None:
        self.methods: dict[str, tuple[Any, Any]] = {}

    def unary_unary(
        self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any
    ) -> Callable[..., None]:
        """Write a method down."""
        self.methods[path] = (request_serializer, response_deserializer)
        return lambda *_, **__: None


def methods(transport: type[Any]) -> dict[str, tuple[Any, Any]]:
    """Return each method's serializer of requests and deserializer of answers, by its path."""
    recorder = _Recorder()
    made = transport(channel=grpc.insecure_channel("127.0.0.1:1"))
    made._logged_channel = recorder
    made._stubs.clear()
    for name, value in vars(transport).items():
        if isinstance(value, property) and not name.startswith("_") and name != "grpc_channel":
            getattr(made, name)
    return recorder.methods


class GrpcFake(grpc.GenericRpcHandler):
    """Serves a transport's methods by those of ``service``; ``allows`` says of a bearer token whether it is let in."""

    def __init__(self, transport: type[Any], service: Any, allows: Callable[[str], bool]) -> None:
        self._table, self._service, self._allows = methods(transport), service, allows
        self.asked: list[tuple[str, Any]] = []
        """Each call that was let in: its path and its message."""

    def service(self, handler_call_details: Any) -> Any:
        """Find who answers a call."""
        known = self._table.get(handler_call_details.method)
        if known is None:
            return None
        request, response = known
        given = dict(handler_call_details.invocation_metadata).get("authorization", "")
        handler = getattr(self._service, handler_call_details.method.rsplit("/", 1)[1], None)

        def answered(asked: Any, context: Any) -> Any:
            if not self._allows(given.removeprefix("Bearer ")):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
            self.asked.append((handler_call_details.method, asked))
            if handler is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, handler_call_details.method)
            return handler(asked, context)

        return grpc.unary_unary_rpc_method_handler(
            answered,
            request_deserializer=_owner(request).deserialize,
            response_serializer=_owner(response).serialize,
        )


def _owner(method: Any) -> Any:
    return method.__self__


class GrpcServer:
    """Runs a fake on a port of this process, over TLS; it may be stopped and started on the same port."""

    def __init__(self, handler: grpc.GenericRpcHandler, key: bytes, certificate: bytes) -> None:
        self._handler, self._trust = handler, grpc.ssl_server_credentials([(key, certificate)])
        self.port, self.running = 0, threading.Event()
        self.start()

    def start(self) -> None:
        """Listen."""
        if self.running.is_set():
            return
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self._handler,))
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", self._trust)
        self._server.start()
        self.running.set()

    def stop(self) -> None:
        """Listen no more."""
        if self.running.is_set():
            self._server.stop(0).wait(5)
            self.running.clear()
