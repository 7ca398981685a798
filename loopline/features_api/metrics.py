"""Prometheus metrics of the feature service: requests and latency by route."""

from __future__ import annotations

import bisect
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopline.platform_core.foundation import histogram
from loopline.platform_core.observability.exposition import CONTENT_TYPE

PATH = "/metrics"
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Seconds: from a look-up to the training set of a year."""
_FAILED = 500


class Metrics:
    """Requests by route and status, and the seconds that they took; a path that is none of ours has no route."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests[route, status] += 1
        self._buckets[route][bisect.bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[route] += seconds

    def text(self) -> bytes:
        """Write everything."""
        return "\n".join([*self._counts(), *self._times(), ""]).encode()

    def _counts(self) -> Iterator[str]:
        name = "loopline_feature_requests_total"
        yield from histogram.head(name, "counter", "Requests to the feature service, by route and status.")
        for (route, status), count in self._requests.items():
            yield f'{name}{{route="{route}",status="{status}"}} {count}'

    def _times(self) -> Iterator[str]:
        name = "loopline_feature_request_seconds"
        yield from histogram.head(name, "histogram", "Time from a request's head to the end of its answer.")
        for route, counts in self._buckets.items():
            yield from histogram.lines(name, f'route="{route}"', _BOUNDS, counts, self._seconds[route])


class Counting:
    """The application, with every request counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _FAILED

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.count(_route(scope), status, time.perf_counter() - started)


def install(app: FastAPI) -> None:
    """Count every request of an application, and tell the counts under ``/metrics``."""
    metrics = Metrics()

    async def metrics_page(_: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    app.add_middleware(Counting, metrics=metrics)
    app.add_route(PATH, metrics_page, include_in_schema=False)


def _route(scope: Scope) -> str:
    """Name the route that answered by its path, as it is written in the application; "" where none did."""
    found: Any = scope.get("route")
    if found is not None:
        return str(found.path)
    wanted = scope.get("endpoint")
    routes = scope["app"].routes if wanted is not None else ()
    return next((route.path for route in routes if getattr(route, "endpoint", None) is wanted), "")
