"""Prometheus metrics of all server workers, merged by whichever one is scraped.

Workers share a port, so a scrape meets any of them. Each leaves its text in its folder every second, or at least
every 10 s where that is much work; who is asked puts the texts of all that live together, each series with the label
``worker``: a rate is right per worker, and so are sums. Threads do the writing, while requests are answered.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.left_behind import keep_leaving
from loopline.platform_core.runtime.wire.http import (
    METRICS_TYPE,
    Application,
    Message,
    Receive,
    Response,
    Scope,
    Send,
    respond,
)

PATH = "/metrics"
_FILE = "metrics.txt"
_SERIES = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


class MetricsTogether:
    """One of several workers: answers ``/metrics`` for all of them, leaves everything else to the application."""

    def __init__(self, inner: Application, root: Path, worker: str) -> None:
        self._inner, self._root, self._worker = inner, root, worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            leaving = asyncio.create_task(keep_leaving(self._root, self._worker, _FILE, self._own))
            try:
                await self._inner(scope, receive, send)
            finally:
                leaving.cancel()
        elif scope["path"] == PATH and scope["method"] == "GET":
            whole = await asyncio.to_thread(self._whole, await self._own())
            await respond(Response(whole, content_type=METRICS_TYPE), dict(scope["headers"]), send)
        else:
            await self._inner(scope, receive, send)

    def _whole(self, own: bytes) -> bytes:
        return together({**self._others(), self._worker: own.decode()}).encode()

    def _others(self) -> dict[str, str]:
        found = {}
        for name in sorted(states.living(self._root) - {self._worker}):
            file = states.worker_folder(self._root, name) / _FILE
            if file.exists():
                found[name] = file.read_text()
        return found

    async def _own(self) -> bytes:
        """Ask the application, as a scrape would."""
        parts: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            parts.append(message.get("body", b""))

        await self._inner({"type": "http", "method": "GET", "path": PATH, "headers": []}, receive, send)
        return b"".join(parts)


def together(texts: dict[str, str]) -> str:
    """Put texts by worker together: the comments of a metric once, then its series with the label ``worker``."""
    metrics: dict[str, list[str]] = {}
    for worker, text in texts.items():
        number = worker.rpartition("-")[2]
        for metric, line in _lines(text.splitlines()):
            said = metrics.setdefault(metric, [])
            if not line.startswith("#"):
                said.append(_labelled(line, number))
            elif line not in said:
                said.append(line)
    return "\n".join(line for lines in metrics.values() for line in lines) + "\n"


def _lines(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each line with the metric to which it belongs: the one that the last comment named."""
    metric = ""
    for line in lines:
        if line.startswith("# "):
            metric = line.split()[2]
        if line:
            yield metric, line


def _labelled(line: str, worker: str) -> str:
    found = _SERIES.fullmatch(line)
    if found is None:
        return line
    name, labels, value = found.groups()
    return f'{name}{{worker="{worker}"{"," + labels if labels else ""}}} {value}'
