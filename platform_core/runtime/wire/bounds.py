"""Enforces a worker's connection limits: timeouts, counts and body sizes.

A timer for each request would cost every request. Instead all connections are looked at once a second, and one that has
waited for the same thing for too long is ended.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from loopline.platform_core.foundation import histogram
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.wire.http import Bodies
from loopline.platform_core.runtime.wire.sending import Turn

STATE = "bounds"
"""Where a worker's ``Bounds`` lie in the application's state."""
RETRY_SECONDS = 1
_LOOK_SECONDS = 1.0
_IDLE = "idle"
Waiting = tuple[str, object]
"""What a connection waits for, and in which request."""


class Held(Protocol):
    """A connection, as far as its limits go."""

    def waiting(self) -> Waiting | None:
        """Say what it waits for, None if for nothing or for the server."""

    def give_up(self, kind: str) -> None:
        """End it."""


class Bounds:
    """The limits of a worker, its connections, the bodies it reads, and how often each limit was met.

    ``underway`` counts the requests that were taken on and not yet answered. uvicorn's set of tasks holds those of an
    earlier turn of the loop too: by that callers who come again at once would be refused for ever.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections: set[Held] = set()
        self.refused: Counter[str] = Counter()
        self.underway = 0
        self.turn = Turn()
        self.bodies = Bodies(limits.body_bytes, limits.held_bytes)
        self._since: dict[Held, tuple[Waiting, float]] = {}

    @property
    def is_full(self) -> bool:
        """Say whether as many requests are underway as may be; those whose bodies still come in are not."""
        return self.underway - self.bodies.receiving >= self.limits.requests

    async def open(self) -> None:
        """Begin to look at every connection now and then."""
        self._looking = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop looking."""
        self._looking.cancel()

    def look(self, now: float) -> None:
        """End the connections that have waited for one thing for too long."""
        since: dict[Held, tuple[Waiting, float]] = {}
        for connection in tuple(self.connections):
            waiting = connection.waiting()
            if waiting is None:
                continue
            before = self._since.get(connection)
            same = before is not None and before[0][0] == waiting[0] and before[0][1] is waiting[1]
            since[connection] = before if same and before else (waiting, now)
            if now - since[connection][1] > self._seconds(waiting[0]):
                if waiting[0] != _IDLE:
                    self.refused[waiting[0]] += 1
                connection.give_up(waiting[0])
        self._since = since

    def lines(self) -> Iterator[str]:
        """Write how many requests are underway and how often each limit was met, in Prometheus' text format."""
        name = "loopline_requests_underway"
        yield from histogram.head(name, "gauge", "Requests that were taken on over HTTP and not yet answered.")
        yield f"{name} {self.underway}"
        name = "loopline_refused_total"
        yield from histogram.head(name, "counter", "Requests and connections that went no further, by the reason.")
        for reason, count in sorted(self.refused.items()):
            yield f'{name}{{reason="{reason}"}} {count}'

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look(time.monotonic())

    def _seconds(self, kind: str) -> float:
        if kind == _IDLE:
            return self.limits.idle_seconds
        return self.limits.receive_seconds if kind == "slow_request" else self.limits.send_seconds
