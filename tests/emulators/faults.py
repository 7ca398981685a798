"""A proxy between a client and a server that does what networks and services do: it delays, refuses, and loses answers.

Rules are asked in turn about each request; the first that is meant takes it. What none takes is passed on as it came.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Asked:
    """A request as it came: its path is with its query."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Fault:
    """What is done to requests that ``when`` is true of, at most ``times`` of them.

    It waits ``seconds``; it passes the request on where that is ``passed_on``, changed by ``change``; it answers with
    ``status`` and ``body`` or, where there is none, cuts the connection without an answer.
    """

    when: Callable[[Asked], bool]
    times: int = 1_000_000
    passed_on: bool = False
    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    change: Callable[[Asked], Asked] | None = None
    met: int = 0


@dataclass
class FaultProxy:
    """A server on a port of its own before the one at ``upstream``."""

    upstream: str
    asked: list[Asked] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin to listen."""
        proxy, parts = self, urlsplit(self.upstream)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                proxy._answer(self, Asked(self.command, self.path, list(self.headers.items()), body))

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _take  # noqa: N815 - the server's names

        self._host = str(parts.netloc)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{parts.path}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[Fault]:
        """Let a fault be while the block runs."""
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self.asked.append(asked)
        fault = self._fault(asked)
        if fault is None:
            self._pass_on(handler, asked)
            return
        time.sleep(fault.seconds)
        if fault.change is not None:
            self._pass_on(handler, fault.change(asked))
            return
        if fault.passed_on:
            self._ask(asked)
        if fault.status is None:
            handler.close_connection = True
            handler.connection.shutdown(2)
            return
        _say(handler, fault.status, list(fault.headers.items()), fault.body)

    def _fault(self, asked: Asked) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.met < fault.times and fault.when(asked):
                    fault.met += 1
                    return fault
        return None

    def _pass_on(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        status, headers, body, length = self._ask(asked)
        if asked.method == "HEAD":
            _say(handler, status, headers, b"", length)
        else:
            _say(handler, status, headers, body)

    def _ask(self, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes, str | None]:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers:
            if name.lower() != "connection":
                connection.putheader(name, value)
        connection.endheaders(asked.body)
        answer = connection.getresponse()
        body, length = answer.read(), answer.getheader("content-length")
        headers = [each for each in answer.getheaders() if each[0].lower() not in HOP]
        connection.close()
        return answer.status, headers, body, length


def _say(
    handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None
) -> None:
    handler.send_response_only(status)
    for name, value in headers:
        handler.send_header(name, value)
    if status not in {204, 304}:
        handler.send_header("content-length", length or str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
