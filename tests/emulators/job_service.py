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
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Message = dict[str, Any]
Handed = tuple[int, dict[str, str], bytes]
Answer = tuple[int, Message] | tuple[int, Message, Mapping[str, str]]
"""Status and body, and headers where some are told."""


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

    def do(self, operation: str, said: Message, query: Message, body: bytes) -> Answer:
        """Do an operation; returns status and answer."""
        raise NotImplementedError

    def handed_on(self, url: str, token: str, content_type: str, body: bytes) -> Handed | None:
        """Return status, headers and body of what a container answers; None: the request is the service's own."""
        return None

    def error(self, no: Refusal) -> Message:
        """Write a refusal as the service does."""
        raise NotImplementedError

    def headers(self, no: Refusal) -> dict[str, str]:
        """Return what else a refusal bears."""
        return {}

    def fault(self, operation: str) -> Message:
        """Take what shall go wrong now."""
        with self.lock:
            return taken(self.faults, operation) or {}

    def answer(self, method: str, url: str, token: str, body: bytes) -> Answer:
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
    wbufsize = -1
    """Headers and body leave together: in two pieces the second waits 40 ms for the client's word on the first."""
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
            given = self.service.handed_on(self.path, token, self.headers.get("Content-Type", ""), body)
            if given is not None:
                return self._give(*given)
            return self._send(*self.service.answer(self.command, self.path, token, body))
        except Refusal as no:
            return self._send(no.status, self.service.error(no), self.service.headers(no))
        except Lost:
            self.close_connection = True
            return None

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _any  # noqa: N815 - as the library names them

    def _send(self, status: int, message: Any, headers: Mapping[str, str] | None = None) -> None:
        told = {"Content-Type": "application/json", **(headers or {})}
        self._give(status, told, json.dumps(message).encode())

    def _give(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
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
