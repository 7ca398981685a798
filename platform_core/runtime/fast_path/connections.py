"""HTTP connections with limits: uvicorn's own know neither the time nor the size in which a request must have come."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from loopline.platform_core.runtime.fast_path.fast_path import FAST_PATH, FastPath
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.wire.bounds import RETRY_SECONDS, STATE, Bounds, Waiting
from loopline.platform_core.runtime.wire.http import Response, as_json, respond
from loopline.platform_core.runtime.wire.sending import Sending

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
        self._at_once: FastPath | None = self.app_state.get(FAST_PATH)
        self._held: bytes | None = None  # the body of a request that may be answered at once, so far
        self._taken: object = None  # the scope of the last request that was answered so, or is about to be
        self._is_taken = False  # it is not answered yet
        self._unfinished = 0
        self._head, self._whole = _sizes(self.bounds.limits)

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
        if self._taken is self.scope:
            self._unfinished = 0
            return
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            self._unfinished = 0
            return
        self._unfinished += len(data)
        inside = self._held is not None or (cycle is not None and cycle.scope is self.scope)
        if self._unfinished > (self._whole if inside else self._head) or len(self.headers or ()) > _MOST_HEADERS:
            self.refuse(431, "the request's head is too long → send fewer and shorter headers", "size")

    def on_headers_complete(self) -> None:
        """Begin a request; one that may be answered at once is held until its body is there."""
        at_once, before = self._at_once, self.cycle
        if (
            at_once is not None
            and not self._is_taken
            and (before is None or before.response_complete)
            and self.parser.get_http_version() == "1.1"
            and at_once.may(self.parser.get_method(), self.url, self.headers)
        ):
            self._held = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Answer at once, or let the application answer."""
        if self._held is None:
            super().on_message_complete()
            return
        if self._at_once is not None and self._at_once.take(self, self.url, self.headers, self._held):
            self._held, self._taken, self._is_taken = None, self.scope, True
        else:
            self._hand_on()
            super().on_message_complete()

    def answered(self, answer: bytes) -> None:
        """Send an answer that was made at once."""
        self._is_taken = False
        self.server_state.total_requests += 1
        self.transport.write(answer)

    def shutdown(self) -> None:
        """End when all that came is answered."""
        if self._is_taken and self._at_once is not None:
            self._at_once.over()
        if self._held is not None:
            self._hand_on()  # the application waits for the rest
        super().shutdown()

    def waiting(self) -> Waiting | None:
        """Say what the connection waits for: ``slow_request`` to come whole, ``slow_reader`` to take the answer.

        ``idle`` is one that waits for its next request after one that was answered at once.
        """
        cycle = self.cycle
        if self.transport.is_closing() or (self.flow is not None and self.flow.write_paused):
            return "slow_reader", cycle
        if self._taken is self.scope and self.scope is not None:
            return "idle", self.scope
        if cycle is None or cycle.scope is not self.scope:
            return "slow_request", self.scope  # the head has not come whole
        if cycle.response_complete:
            return None if self.timeout_keep_alive_task else ("slow_request", cycle)  # the rest of what was refused
        return ("slow_request", cycle) if cycle.more_body else None

    def give_up(self, kind: str) -> None:
        """End the connection; who sends slowly is told."""
        if kind == "idle":
            self.transport.close()
        elif kind == "slow_request" and not self._answering():
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

    def _hand_on(self) -> None:
        """Let the application have the request that was held."""
        body, self._held = self._held, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _answering(self) -> bool:
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ARG002 - always the one
        if not self.bounds.is_full:
            self.bounds.underway += 1  # from here on, and not from when its turn comes: the queue is what is bounded
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
        if not scope["path"].rstrip("/").endswith("/infer"):  # the application takes slashes off too
            await self.app(scope, receive, send)
            return
        self.bounds.refused["requests"] += 1
        said = {
            "error": f"{self.bounds.limits.requests} requests are underway → try again later, or start more workers"
        }
        await respond(Response(as_json(said).body, 503, retry_seconds=RETRY_SECONDS), {}, send)


def _sizes(limits: Limits) -> tuple[int, int]:
    """Return how many bytes may lie there before the head has come whole, and before the body has; chunks add some."""
    return limits.header_bytes, limits.header_bytes + 2 * limits.body_bytes


def _closing(status: int, body: bytes) -> bytes:
    retry = b"retry-after: %d\r\n" % RETRY_SECONDS if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
    fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
    return STATUS_LINE[status] + fields + retry + b"\r\n" + body
