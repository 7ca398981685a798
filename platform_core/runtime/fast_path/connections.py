"""HTTP connections with time and size limits that uvicorn's own do not have."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from http import HTTPStatus
from typing import Any

from loopline.platform_core.runtime.fast_path.fast_path import FAST_PATH, FastPath
from loopline.platform_core.runtime.fast_path.uvicorn_private import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.wire.bounds import RETRY_SECONDS, STATE, Bounds, Waiting
from loopline.platform_core.runtime.wire.http import Response, as_json, respond
from loopline.platform_core.runtime.wire.sending import Sending

_MOST_HEADERS = 128
_INFERENCES = ("/infer", "/invocations")
_LOG = logging.getLogger("uvicorn.error.connections")
_LOG.setLevel(logging.ERROR)  # anybody can send what is no HTTP, and need not fill our log with it


class RequestPath(Enum):
    """Which way the request that is being read goes through the server."""

    APPLICATION = "application"
    """By ASGI; also before it is known, while its head comes."""
    HELD = "held"
    """Its head may be one for the fast path: its body is held until it is whole."""
    FAST = "fast"
    """The fast path has it, or has answered it, and nothing of a next request has come."""


class Connection(HttpToolsProtocol):
    """One connection; ``Bounds`` come with the application's state.

    Two facts are kept, since a client may send its next request before it has the answer to this one: the
    ``RequestPath`` of the request that is being read, and whether the fast path still owes an answer. While it does,
    the next request goes by ASGI, behind it: answers leave in the order of requests.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.bounds: Bounds = self.app_state[STATE]
        self.bounds.connections = self.connections
        self.logger = _LOG
        self._fast_path: FastPath | None = self.app_state.get(FAST_PATH)
        self._way = RequestPath.APPLICATION
        self._held_body = b""
        self._owes_answer = False
        self._unfinished_bytes = 0
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
        if self._way is RequestPath.FAST:
            self._unfinished_bytes = 0
            return
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            self._unfinished_bytes = 0
            return
        self._unfinished_bytes += len(data)
        inside = self._way is RequestPath.HELD or (cycle is not None and cycle.scope is self.scope)
        if self._unfinished_bytes > (self._whole if inside else self._head) or len(self.headers or ()) > _MOST_HEADERS:
            self.refuse(431, "the request's head is too long → send fewer and shorter headers", "size")

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self._way = RequestPath.APPLICATION

    def on_headers_complete(self) -> None:
        """Begin a request; one for the fast path is held until its body is there."""
        fast_path, before = self._fast_path, self.cycle
        if (
            fast_path is not None
            and not self._owes_answer
            and (before is None or before.response_complete)
            and self.parser.get_http_version() == "1.1"
            and fast_path.may(self.parser.get_method(), self.url, self.headers)
        ):
            self._way, self._held_body = RequestPath.HELD, b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._way is RequestPath.HELD:
            self._held_body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Give a whole request to the fast path, or let the application answer."""
        if self._way is not RequestPath.HELD:
            super().on_message_complete()
            return
        if self._fast_path is not None and self._fast_path.take(self, self.url, self.headers, self._held_body):
            self._way, self._owes_answer = RequestPath.FAST, True
        else:
            self._hand_on()
            super().on_message_complete()

    def answered(self, answer: bytes) -> None:
        """Send an answer that the fast path made."""
        self._owes_answer = False
        self.server_state.total_requests += 1
        self.transport.write(answer)

    def shutdown(self) -> None:
        """End when all that came is answered."""
        if self._owes_answer and self._fast_path is not None:
            self._fast_path.over()  # the loop may end before its turn does
        if self._way is RequestPath.HELD:
            self._hand_on()  # the application waits for the rest
        super().shutdown()

    def waiting(self) -> Waiting | None:
        """Say what the connection waits for: ``slow_request`` to come whole, ``slow_reader`` to take the answer.

        ``idle`` is one that waits for its next request after the fast path answered one.
        """
        cycle = self.cycle
        if self.transport.is_closing() or (self.flow is not None and self.flow.write_paused):
            return "slow_reader", cycle
        if self._way is RequestPath.FAST:
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

    def refuse(self, status: int, error: str, reason: str | None) -> None:
        """Answer outside of any request, and close."""
        if reason:
            self.bounds.refused[reason] += 1
        if not self.transport.is_closing():
            self.transport.write(_closing(status, as_json({"error": error}).body))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the protocol's shape."""
        self.refuse(400, f"{msg} → speak HTTP/1.1", "no_http")

    def _hand_on(self) -> None:
        """Let the application have the request that was held."""
        body, self._held_body, self._way = self._held_body, b"", RequestPath.APPLICATION
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
        if not scope["path"].rstrip("/").endswith(_INFERENCES):  # the application takes slashes off too
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
