"""What strict fakes of ML services have in common: HTTP, what was asked, and what shall go wrong.

``POST /_faults`` takes what shall go wrong: ``{"operation": name, "times": n, ...}`` with ``status``, ``code`` and
``message`` (it is answered so), or ``lost`` (it is done, and nobody is told), or ``late`` (seconds); of ``"job"`` what
becomes of the next one that is made. ``null`` mends all. ``GET /_requests`` tells what was asked.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Message = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - what the service does, not what is wrong here
    """The service says no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Lost(Exception):  # noqa: N818 - as above
    """The answer does not arrive."""


def taken(faults: list[Message], operation: str) -> Message | None:
    """Take a fault of an operation out of a list, once less the times that it is to happen; None: there is none."""
    for fault in faults:
        if fault["operation"] == operation:
            fault["times"] = fault.get("times", 1) - 1
            if fault["times"] <= 0:
                faults.remove(fault)
            return {**fault}
    return None


class JobService:
    """Answers operations by name; who subclasses it finds the operation of a request, and has a method for each."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.faults: list[Message] = []
        self.requests: list[tuple[str, Message]] = []

    def operation(self, method: str, path: str) -> tuple[str, Message]:
        """Return a request's operation, and what its path says."""
        raise NotImplementedError

    def allow(self, token: str) -> None:
        """Refuse a token that is not known."""
        raise NotImplementedError

    def do(self, operation: str, said: Message, query: Message, body: bytes) -> tuple[int, Message]:
        """Do an operation; returns status and answer."""
        raise NotImplementedError

    def error(self, no: Refusal) -> Message:
        """Write a refusal as the service does."""
        raise NotImplementedError

    def fault(self, operation: str) -> Message:
        """Take what shall go wrong now."""
        with self.lock:
            return taken(self.faults, operation) or {}

    def answer(self, method: str, url: str, token: str, body: bytes) -> tuple[int, Message]:
        """Answer a request."""
        parts = urlsplit(url)
        self.allow(token)
        operation, said = self.operation(method, parts.path)
        self.requests.append((operation, {**said, "body": json.loads(body) if body[:1] == b"{" else None}))
        fault = self.fault(operation)
        if "status" in fault:
            raise Refusal(fault["status"], fault.get("code", ""), fault.get("message", "as the test asked"))
        found = self.do(operation, said, dict(parse_qsl(parts.query)), body)
        time.sleep(fault.get("late", 0))
        if fault.get("lost"):
            raise Lost
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: JobService

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/_requests":
            return self._send(200, self.service.requests)
        if self.path == "/_faults":
            fault = json.loads(body)
            self.service.faults[:] = [*self.service.faults, fault] if fault else []
            return self._send(200, {})
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            return self._send(*self.service.answer(self.command, self.path, token, body))
        except Refusal as no:
            return self._send(no.status, self.service.error(no))
        except Lost:
            self.close_connection = True
            return None

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _any  # noqa: N815 - as the library names them

    def _send(self, status: int, message: Any) -> None:
        content = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def listening(service: JobService, port: int, certificate: str = "") -> ThreadingHTTPServer:
    """Return a server of a service, which somebody is to run; over TLS with a file of key and certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"service": service}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def serve(service: JobService, port: int, certificate: str = "") -> None:
    """Serve until it is ended."""
    listening(service, port, certificate).serve_forever()
