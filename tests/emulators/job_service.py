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
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators import http_server
from tests.emulators.http_server import Request, Server, as_json

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

    kind = "application/json"

    def __init__(self) -> None:
        self.lock = threading.RLock()
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

    def answered(self, request: Request) -> http_server.Answer | None:
        """Answer a client of the service, or a test."""
        if request.path == "/_requests":
            return as_json(200, self.requests)
        if request.path == "/_faults":
            fault = json.loads(request.body)
            self.faults[:] = [*self.faults, fault] if fault else []
            return as_json(200, {})
        try:
            return self.given(request)
        except Refusal as no:
            return as_json(no.status, self.error(no), self.headers(no), self.kind)
        except Lost:
            return None

    def given(self, request: Request) -> http_server.Answer:
        """Answer a client, or raise what becomes of its request."""
        kind = request.headers.get("Content-Type") or ""
        handed = self.handed_on(request.path, request.token, kind, request.body)
        if handed is not None:
            return http_server.Answer(handed[0], handed[2], handed[1])
        return as_json(*self.answer(request.method, request.path, request.token, request.body))

    def refuse(self, fault: Message) -> None:
        """Refuse what shall go wrong with a status."""
        if "status" in fault:
            raise Refusal(fault["status"], fault.get("code", ""), fault.get("message", "as the test asked"))

    def answer(self, method: str, url: str, token: str, body: bytes) -> Answer:
        """Answer a request."""
        parts = urlsplit(url)
        self.allow(token)
        operation, said = self.operation(method, parts.path)
        self.requests.append((operation, {**said, "body": json.loads(body) if body[:1] == b"{" else None}))
        fault = self.fault(operation)
        self.refuse(fault)
        found = self.do(operation, said, dict(parse_qsl(parts.query)), body)
        time.sleep(fault.get("late", 0))  # what the fault is: an answer that is late
        if fault.get("lost"):
            raise Lost
        return found


def listening(service: JobService, port: int, certificate: str = "") -> Server:
    """Return a server of a service, which somebody is to run; over TLS with a file of key and certificate."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if trust:
        trust.load_cert_chain(certificate)
    return Server(service.answered, port, trust)


def serve(service: JobService, port: int, certificate: str = "") -> None:
    """Serve until it is ended."""
    listening(service, port, certificate).serve_forever()
