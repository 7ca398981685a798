"""HTTP connections with limits: uvicorn's own know neither the time nor the size in which a request must have come."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from platform_core.runtime.bounds import RETRY_SECONDS, STATE, Bounds, Waiting
from platform_core.runtime.http import Response, as_json, respond
from platform_core.runtime.limits import Limits
from platform_core.runtime.sending import Sending

_MOST_HEADERS = 128
_LOG = logging.getLogger("uvicorn.error.connections")
_LOG.setLevel(logging.ERROR)  # anybody can send what is no HTTP, and need not fill our log with it


class Connection(HttpToolsProtocol):
    """One connection; ``Bounds`` come with the application's state."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.bounds: Bounds = self.app_state[STATE]
        self.bounds.connections = self.connections
        self.logger = _LOG
        self._unfinished = 0
        self._head, self._whole = _sizes(self.bounds.limits)
        self._most = self.bounds.limits.requests

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        if len(self.connections) < self.bounds.limits.connections:
            super().connection_made(Sending(transport, self.bounds.turn))  # type: ignore[arg-type]
            return
        self.transport = transport
        self.refuse(503, "too many connections are open → try again later, or start more workers", "connections")

    def data_received(self, data: bytes) -> None:
        """Read on, as long as head and body keep to their sizes."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            self._unfinished = 0
            return
        self._unfinished += len(data)
        inside = cycle is not None and cycle.scope is self.scope
        if self._unfinished > (self._whole if inside else self._head) or len(self.headers or ()) > _MOST_HEADERS:
            self.refuse(431, "the request's head is too long → send fewer and shorter headers", "size")

    def waiting(self) -> Waiting | None:
        """Say what the connection waits for: ``slow_request`` to come whole, ``slow_reader`` to take the answer."""
        cycle = self.cycle
        if self.transport.is_closing() or (self.flow is not None and self.flow.write_paused):
            return "slow_reader", cycle
        if cycle is None or cycle.scope is not self.scope:
            return "slow_request", self.scope  # the head has not come whole
        if cycle.response_complete:
            return None if self.timeout_keep_alive_task else ("slow_request", cycle)  # the rest of what was refused
        return ("slow_request", cycle) if cycle.more_body else None

    def give_up(self, kind: str) -> None:
        """End the connection; who sends slowly is told."""
        if kind == "slow_request" and not self._answering():
            self.refuse(408, "the request did not come in time → send it at once", None)
        else:
            self.transport.abort()

    def refuse(self, status: int, said: str, reason: str | None) -> None:
        """Answer outside of any request, and close."""
        if reason:
            self.bounds.refused[reason] += 1
        if not self.transport.is_closing():
            self.transport.write(_closing(status, as_json({"error": said}).body))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the protocol's shape."""
        self.refuse(400, f"{msg} → speak HTTP/1.1", "no_http")

    def _answering(self) -> bool:
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ARG002 - always the one
        bounds = self.bounds
        if bounds.underway - bounds.bodies.receiving < self._most:
            bounds.underway += 1  # from here on, and not from when its turn comes: the queue is what is bounded
            super()._start_asgi_task(cycle, self._counted)
        else:
            super()._start_asgi_task(cycle, self._overloaded)

    async def _counted(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            self.bounds.underway -= 1

    async def _overloaded(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse an inference; whoever asks for health, metadata or metrics is answered."""
        if not scope["path"].endswith("/infer"):
            await self.app(scope, receive, send)
            return
        self.bounds.refused["requests"] += 1
        said = {"error": f"{self._most} requests are underway → try again later, or start more workers"}
        await respond(Response(as_json(said).body, 503, retry_seconds=RETRY_SECONDS), {}, send)


def _sizes(limits: Limits) -> tuple[int, int]:
    """Return how many bytes may lie there before the head has come whole, and before the body has; chunks add some."""
    return limits.header_bytes, limits.header_bytes + 2 * limits.body_bytes


def _closing(status: int, body: bytes) -> bytes:
    retry = b"retry-after: %d\r\n" % RETRY_SECONDS if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
    fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
    return STATUS_LINE[status] + fields + retry + b"\r\n" + body
