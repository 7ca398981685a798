"""A proxy of HTTP/1.1 between a client and a server that does to requests what networks and clouds do.

    with FaultProxy(server.url) as proxy:
        proxy.add(header("X-Amz-Target", "PutItem"), answer(503, b"{}"), times=2)
        client = make_client(endpoint_url=proxy.url)

A rule takes the requests that it matches, ``times`` of them after the first ``skip``; the first rule that takes a
request has it. All others go through as they are, and all are in ``seen``. Signatures hold, since ``Host``
is passed on. It speaks neither HTTP/2, and so no gRPC, nor TLS.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

ALWAYS = 10**9
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Request(NamedTuple):
    """What a client sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """What it gets, the body byte by byte if each takes so many seconds, and no more of it than is ``sent``."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    byte_seconds: float = 0
    sent: int | None = None


Forward = Callable[[Request], Answer]
Matcher = Callable[[Request], bool]
Does = Callable[[Request, Forward], Answer | None]
"""Says what a client gets, and may ask the server before; None: the connection is cut."""


def every(*matchers: Matcher) -> Matcher:
    """Match what all of them match; without any, every request."""
    return lambda request: all(matches(request) for matches in matchers)


def header(name: str, pattern: str) -> Matcher:
    """Match a header in which the pattern is found."""
    return lambda request: re.search(pattern, request.headers.get(name) or "") is not None


def method(name: str) -> Matcher:
    """Match a method."""
    return lambda request: request.method == name


def path(pattern: str) -> Matcher:
    """Match a path, query included, in which the pattern is found."""
    return lambda request: re.search(pattern, request.path) is not None


def body(pattern: bytes) -> Matcher:
    """Match a body in which the pattern is found."""
    return lambda request: re.search(pattern, request.body) is not None


def one_later_each_time() -> Matcher:
    """Match the first request, then the next but one, then the one behind two others, and so on.

    Whoever begins anew when a request failed fails at each of his requests in turn, and in the end at none.
    """
    passed, wanted = 0, 0

    def matches(_: Request) -> bool:
        nonlocal passed, wanted
        if passed < wanted:
            passed += 1
            return False
        passed, wanted = 0, wanted + 1
        return True

    return matches


def answer(status: int, content: bytes = b"", headers: Mapping[str, str] | None = None) -> Does:
    """Answer without the server."""
    return lambda request, forward: Answer(status, content, headers or {})


def delay(seconds: float) -> Does:
    """Let the request through later."""

    def late(request: Request, forward: Forward) -> Answer:
        time.sleep(seconds)
        return forward(request)

    return late


def slow_answer(seconds: float) -> Does:
    """Let the request through at once and its answer later."""

    def late(request: Request, forward: Forward) -> Answer:
        given = forward(request)
        time.sleep(seconds)
        return given

    return late


def trickle(byte_seconds: float) -> Does:
    """Let the request through, and its answer come so slowly that no time-out between two bytes ends it."""
    return lambda request, forward: forward(request)._replace(byte_seconds=byte_seconds)


def changed(change: Callable[[Answer], Answer]) -> Does:
    """Let the request through and change what is answered."""
    return lambda request, forward: change(forward(request))


def lose_request() -> Does:
    """Cut the connection before the server knows of it."""
    return lambda request, forward: None


def lose_response() -> Does:
    """Cut the connection when the server has done it."""

    def lost(request: Request, forward: Forward) -> None:
        forward(request)

    return lost


def hold(until: threading.Event) -> Does:
    """Say nothing, and cut the connection in the end; the server knows of nothing."""

    def held(request: Request, forward: Forward) -> None:
        until.wait()

    return held


def tear_answer() -> Does:
    """Cut the connection in the middle of the answer's body."""

    def torn(request: Request, forward: Forward) -> Answer | None:
        given = forward(request)
        return given._replace(sent=len(given.body) // 2) if given.body else None

    return torn


@dataclass
class Rule:
    """What happens to which requests; ``taken`` counts them."""

    matches: Matcher
    does: Does
    times: int = ALWAYS
    skip: int = 0
    taken: int = 0
    _met: int = field(default=0, repr=False)

    def takes(self, request: Request) -> bool:
        """Say whether it has this request; asked by one thread at a time."""
        if self.taken >= self.times or not self.matches(request):
            return False
        self._met += 1
        if self._met <= self.skip:
            return False
        self.taken += 1
        return True


class FaultProxy:
    """Listens on a port of its own while it is entered."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.seen: list[Request] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def add(self, matches: Matcher, does: Does, times: int = ALWAYS, skip: int = 0) -> Rule:
        """Add a rule, behind those that are there."""
        rule = Rule(matches, does, times, skip)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget rules and what was seen."""
        with self._lock:
            self._rules.clear()
            self.seen.clear()

    def count(self, matches: Matcher) -> int:
        """Return how many requests that match were seen."""
        with self._lock:
            return sum(map(matches, self.seen))

    def decided(self, request: Request) -> Answer | None:
        """Return what the client gets; None where its connection is to be cut."""
        with self._lock:
            self.seen.append(request)
            rule = next((rule for rule in self._rules if rule.takes(request)), None)
        return self.forward(request) if rule is None else rule.does(request, self.forward)

    def forward(self, request: Request) -> Answer:
        """Ask the server."""
        connection = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=60)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            given = connection.getresponse()
            headers = {name: value for name, value in given.getheaders() if name.lower() not in _HOP_BY_HOP}
            if request.method == "HEAD" and (length := given.getheader("Content-Length")):
                headers["Content-Length"] = length
            return Answer(given.status, given.read(), headers)
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Read a request of whatever method, and let the proxy decide."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        request = Request(self.command, self.path, self.headers, self._content())  # type: ignore[arg-type]
        given = self.server.proxy.decided(request)
        if given is not None:
            self._send(given)
        if given is None or given.sent is not None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, given: Answer) -> None:
        self.send_response_only(given.status)
        for name, value in given.headers.items():
            self.send_header(name, value)
        if self.command != "HEAD" or "Content-Length" not in given.headers:
            self.send_header("Content-Length", str(len(given.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = given.body[: given.sent]
        if not given.byte_seconds:
            self.wfile.write(sent)
            return
        for at in range(len(sent)):
            self.wfile.write(sent[at : at + 1])
            time.sleep(given.byte_seconds)

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
