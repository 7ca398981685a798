"""What strict fakes of Google's services share: their client's messages over gRPC, and faults on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc

MAX_REQUEST = 10 * 1024 * 1024
Code = grpc.StatusCode


class RefusedError(Exception):
    """An answer with a code that is not OK."""

    def __init__(self, code: grpc.StatusCode, told: str) -> None:
        super().__init__(told)
        self.code, self.told = code, told


@dataclass
class Fault:
    """What goes wrong with the next calls of a method: before it is done, after it (nobody hears), or it hangs."""

    method: str
    code: grpc.StatusCode | None = None
    after: bool = False
    times: int = 1
    of_each: int = 0
    """Of a method with several writes: only so many of them fail, with this code."""
    only: Callable[[Any], bool] = lambda _: True
    """Which requests it is for."""


class Method(NamedTuple):
    """A method: what it is asked, who answers a request (and a fault in part of it), and whether with a stream."""

    request: Any
    answer: Callable[[Any, Fault | None], Any]
    streams: bool = False
    size: Callable[[Any], int] = lambda _: 1
    """How much of what is limited a request has, for ``calls``."""


@dataclass
class GoogleFake:
    """One server; ``port`` is where it listens. A service says its own ``methods``, by their path."""

    token: str | None = field(default=None, kw_only=True)
    rights: bool = field(default=True, kw_only=True)
    credentials: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Start it."""
        self.calls: list[tuple[str, int]] = []
        self.asked: list[tuple[str, Any]] = []
        self.faults: list[Fault] = []
        self.between: list[Callable[[], object]] = []
        self.lock = threading.RLock()
        self._server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", -1)])
        self._server.add_generic_rpc_handlers((_Handler(self, self.methods()),))
        if self.credentials is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("127.0.0.1:0", self.credentials)
        self._server.start()

    @property
    def endpoint(self) -> str:
        """Return what a vendor's ``endpoint`` is set to."""
        return f"http://127.0.0.1:{self.port}"

    def methods(self) -> dict[str, Method]:
        """Return what is answered, by path; all else is UNIMPLEMENTED."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it at once."""
        self._server.stop(None)

    def happen(self) -> None:
        """Let happen what shall between a client's look and its change."""
        while self.between:
            self.between.pop()()

    def fault_of(self, method: str, request: Any) -> Fault | None:
        """Take the next fault of a method."""
        with self.lock:
            for fault in self.faults:
                if fault.method == method and fault.times > 0 and fault.only(request):
                    fault.times -= 1
                    return fault
        return None


def known(message: Any, *fields: str) -> None:
    """Refuse a message that has other fields than these."""
    strange = [each.name for each, _ in message.ListFields() if each.name not in fields]
    if strange:
        raise RefusedError(Code.INVALID_ARGUMENT, f"this fake does not know {strange} of {type(message).__name__}")


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Gives each known method of the service its answer."""

    def __init__(self, fake: GoogleFake, methods: dict[str, Method]) -> None:
        self._fake, self._methods = fake, methods

    def service(self, details: Any) -> Any:
        """Find a method; another one is UNIMPLEMENTED."""
        method = self._methods.get(details.method)
        if method is None:
            return None
        name, read = details.method.rpartition("/")[2], type(method.request.pb(method.request())).FromString

        def unary(data: bytes, context: Any) -> bytes:
            answer: bytes = self._answer(name, data, read, method, context).SerializeToString()
            return answer

        def stream(data: bytes, context: Any) -> Iterator[bytes]:
            for one in self._answer(name, data, read, method, context):
                yield one.SerializeToString()

        if method.streams:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _answer(self, name: str, data: bytes, read: Any, method: Method, context: Any) -> Any:
        fake, request = self._fake, read(data)
        fault = fake.fault_of(name, request)
        try:
            self._let_in(dict(context.invocation_metadata()))
            if len(data) > MAX_REQUEST:
                raise RefusedError(Code.INVALID_ARGUMENT, f"{len(data)} bytes are too many")  # noqa: TRY301
            while fault is not None and fault.code is None and context.is_active():
                time.sleep(0.01)  # it hangs
            if fault is not None and fault.code is not None and not fault.after and not fault.of_each:
                raise RefusedError(fault.code, "a fault of the tests")  # noqa: TRY301
            fake.asked.append((name, request))
            fake.calls.append((name, method.size(request)))
            answer = method.answer(request, fault)
            if fault is not None and fault.after:
                raise RefusedError(fault.code or Code.UNAVAILABLE, "the answer was lost")  # noqa: TRY301
        except RefusedError as refused:
            context.abort(refused.code, refused.told)
        return answer

    def _let_in(self, metadata: dict[str, Any]) -> None:
        if self._fake.token is not None and metadata.get("authorization") != f"Bearer {self._fake.token}":
            raise RefusedError(Code.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        if not self._fake.rights:
            raise RefusedError(Code.PERMISSION_DENIED, "Missing or insufficient permissions.")
