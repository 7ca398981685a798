"""HTTP/1.1 as tests' own servers and proxies speak it: one function says what each request gets, whatever its method.

Every double here that is asked over HTTP is such a function from ``Request`` to ``Answer``.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self


class Request(NamedTuple):
    """What a client sent; headers are found however their names are written."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        """Return the token that it bears."""
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    @property
    def small(self) -> dict[str, str]:
        """Return the headers with names in small letters."""
        return {name.lower(): value for name, value in self.headers.items()}


class Answer(NamedTuple):
    """What it gets, the body byte by byte if each takes so many seconds, and no more of it than is ``sent``."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    byte_seconds: float = 0
    sent: int | None = None


Answers = Callable[[Request], Answer | None]
"""Says what a client gets; None: its connection is cut."""


def as_json(status: int, said: Any, headers: Mapping[str, str] | None = None, kind: str = "application/json") -> Answer:
    """Answer with JSON."""
    return Answer(status, json.dumps(said).encode(), {"Content-Type": kind, **(headers or {})})


def certified(folder: Path, host: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """Let an authority sign for a host; returns the file of who signed, and what a server is to have."""
    import trustme

    authority, trust = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    authority.issue_cert(host).configure_cert(trust)
    return file, trust


class Server(ThreadingHTTPServer):
    """Bound to a port, by default a free one; over TLS with ``trust``. Somebody is to run it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, answers: Answers, port: int = 0, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        super().__init__((host, port), _Handler)
        self.answers = answers
        if trust is not None:
            self.socket = trust.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Serving:
    """A server that runs; it may be stopped, and started again on the same port."""

    def __init__(
        self, answers: Answers, port: int = 0, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._answers, self._trust, self._host, self.port = answers, trust, host, port
        self._server: Server | None = None
        self.start()
        self.url = f"{'http' if trust is None else 'https'}://{host}:{self.port}"

    def start(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = Server(self._answers, self.port, self._trust, self._host)
            self.port = int(self._server.server_address[1])
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        """Be there for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Read a request of whatever method, and answer it."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        request = Request(self.command, self.path, self.headers, self._content())  # type: ignore[arg-type]
        given = self.server.answers(request)
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
        has_length = self.command == "HEAD" and "Content-Length" in given.headers
        if not has_length and given.status not in {204, 304}:
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
            time.sleep(given.byte_seconds)  # what is asked for: an answer that trickles

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
