"""A proxy between a client and a server that does what networks and services do: it delays, refuses, and loses answers.

Rules are asked in turn about each request; the first that is meant takes it. What none takes is passed on as it came.
It is a process of its own, since some clients let no other thread of theirs run while they wait.
"""

from __future__ import annotations

import http.client
import multiprocessing
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import unquote, urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
EVER = 1_000_000


@dataclass
class Asked:
    """A request as it came: its path is with its query."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Fault:
    """What is done to requests of a method ("" for any) and a path that has ``pattern`` in it.

    The first ``skip`` of them pass, then ``times`` of them are met; with ``each`` that is counted for each method and
    path by itself. One that ``follows`` begins once the fault before it has met a request.

    A request that is met is passed on where that is ``passed_on``, then waits ``seconds``, and is passed on then where
    ``change`` gives what it becomes. Else it is answered with ``status`` and ``body`` or, where there is no status, its
    connection is cut. ``change`` is called in the proxy's process: it must be of a module to be imported.
    """

    method: str = ""
    pattern: str = ""
    skip: int = 0
    times: int = EVER
    each: bool = False
    follows: bool = False
    passed_on: bool = False
    status: int | None = None
    body: bytes = b""
    seconds: float = 0
    change: Callable[[Asked], Asked] | None = None
    met: int = 0
    _seen: Counter[str] = field(default_factory=Counter)

    def takes(self, asked: Asked) -> bool:
        """Say whether this request is met, and count it."""
        if (self.method and self.method != asked.method) or not re.search(self.pattern, unquote(asked.path)):
            return False
        which = f"{asked.method} {asked.path}" if self.each else ""
        self._seen[which] += 1
        is_met = self.skip < self._seen[which] <= self.skip + self.times
        self.met += is_met
        return is_met


def unchanged(asked: Asked) -> Asked:
    """Be a fault's ``change`` that changes nothing: the request is late."""
    return asked


class FaultProxy:
    """The proxy before the server at ``upstream``, at ``url``."""

    def __init__(self, upstream: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._told, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(upstream, theirs), daemon=True)
        self._process.start()
        self.url: str = self._told.recv()

    @contextmanager
    def fault(self, *faults: Fault) -> Iterator[list[int]]:
        """Let faults be while the block runs; afterwards the list says how many requests each has met."""
        met: list[int] = []
        self._say("begin", faults)
        try:
            yield met
        finally:
            met += self._say("end")

    def asked(self) -> list[tuple[str, str]]:
        """Return method and path of what was asked since this was asked last."""
        found: list[tuple[str, str]] = self._say("asked")
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()

    def _say(self, *what: Any) -> Any:
        self._told.send(what)
        return self._told.recv()


def _serve(upstream: str, told: Connection) -> None:
    """Be the proxy's process, until the other end is gone."""
    proxy = _Proxy(upstream)
    told.send(proxy.url)
    with suppress(EOFError):
        while True:
            what, *more = told.recv()
            told.send(proxy.do(what, *more))


class _Proxy:
    """The server in its process."""

    def __init__(self, upstream: str) -> None:
        self._asked: list[Asked] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        proxy, parts = self, urlsplit(upstream)

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

    def do(self, what: str, *more: Any) -> Any:
        """Do what the other end says."""
        if what == "begin":
            self._faults = list(more[0])
        elif what == "end":
            ended, self._faults = self._faults, []
            return [fault.met for fault in ended]
        else:
            asked, self._asked = self._asked, []
            return [(each.method, unquote(each.path)) for each in asked]
        return None

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self._asked.append(asked)
        fault = self._fault(asked)
        if fault is None:
            self._pass_on(handler, asked)
            return
        if fault.passed_on:
            self._ask(asked)
        time.sleep(fault.seconds)
        if fault.change is not None:
            self._pass_on(handler, fault.change(asked))
            return
        if fault.status is None:
            handler.close_connection = True
            handler.connection.shutdown(2)
            return
        _say(handler, fault.status, [], b"" if asked.method == "HEAD" else fault.body)

    def _fault(self, asked: Asked) -> Fault | None:
        with self._lock:
            for number, fault in enumerate(self._faults):
                if (not fault.follows or self._faults[number - 1].met) and fault.takes(asked):
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
