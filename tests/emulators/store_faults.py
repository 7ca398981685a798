"""A proxy between a client and a server that does what networks and services do: it delays, refuses, and loses answers.

Rules are asked in turn about each request; the first that is meant takes it. What none takes is passed on as it came.
It is a process of its own, since some clients let no other thread of theirs run while they wait.
"""

from __future__ import annotations

import multiprocessing
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.emulators.faults import forwarded
from tests.emulators.http_server import Answer, Request, Serving

EVER = 1_000_000


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
    change: Callable[[Request], Request] | None = None
    met: int = 0
    _seen: Counter[str] = field(default_factory=Counter)

    def takes(self, asked: Request) -> bool:
        """Say whether this request is met, and count it."""
        if (self.method and self.method != asked.method) or not re.search(self.pattern, unquote(asked.path)):
            return False
        which = f"{asked.method} {asked.path}" if self.each else ""
        self._seen[which] += 1
        is_met = self.skip < self._seen[which] <= self.skip + self.times
        self.met += is_met
        return is_met


def unchanged(asked: Request) -> Request:
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


class _Proxy(Serving):
    """The server in its process."""

    def __init__(self, upstream: str) -> None:
        self._asked: list[Request] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        parts = urlsplit(upstream)
        self._upstream = str(parts.netloc)
        super().__init__(self._answer)
        self.url += parts.path

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

    def _answer(self, asked: Request) -> Answer | None:
        self._asked.append(asked)
        fault = self._fault(asked)
        if fault is None:
            return forwarded(asked, self._upstream)
        if fault.passed_on:
            forwarded(asked, self._upstream)
        time.sleep(fault.seconds)  # what the fault is: who is met waits
        if fault.change is not None:
            return forwarded(fault.change(asked), self._upstream)
        return None if fault.status is None else Answer(fault.status, fault.body)

    def _fault(self, asked: Request) -> Fault | None:
        with self._lock:
            for number, fault in enumerate(self._faults):
                if (not fault.follows or self._faults[number - 1].met) and fault.takes(asked):
                    return fault
        return None
