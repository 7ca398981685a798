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
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.emulators.http_server import Answer, Request, Serving

ALWAYS = 10**9
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


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
        time.sleep(seconds)  # what the rule is: a request that is late
        return forward(request)

    return late


def slow_answer(seconds: float) -> Does:
    """Let the request through at once and its answer later."""

    def late(request: Request, forward: Forward) -> Answer:
        given = forward(request)
        time.sleep(seconds)  # what the rule is: an answer that is late
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


class FaultProxy(Serving):
    """Listens on a port of its own until its block ends."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.seen: list[Request] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        super().__init__(self.decided)

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
        return forwarded(request, self._target.netloc)


def forwarded(request: Request, to: str) -> Answer:
    """Ask a server, and return what it answers."""
    connection = http.client.HTTPConnection(to, timeout=60)
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
