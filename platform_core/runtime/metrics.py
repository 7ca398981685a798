"""Counters of one worker in Prometheus' text format."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from loopline.platform_core.errors import BadRequest, NotFound
from loopline.platform_core.foundation import histogram

_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_VERSION = "_loopline_version"
_CALLERS_OWN = (BadRequest, NotFound, asyncio.CancelledError)  # the last: the caller went away, or its time was over
Labels = tuple[str, str]
"""Model and version; no version while none was chosen."""


def blame(error: BaseException, version: str) -> None:
    """Note which version was to answer the request that failed, for whoever counts it."""
    setattr(error, _VERSION, version)


def blamed(error: BaseException | None) -> str:
    """Name the version that was to answer; "" if none was chosen."""
    version: str = getattr(error, _VERSION, "")
    return version


class Metrics:
    """Requests, errors and seconds by model and version; failures (errors that are not the caller's own) by model."""

    def __init__(self) -> None:
        self.errors: defaultdict[Labels, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.seconds: defaultdict[Labels, float] = defaultdict(float)
        self.buckets: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))

    def request(self, model: str) -> Watched:
        """Watch one request; set ``version`` once it is known."""
        return Watched(self, model)

    def count(self, model: str, version: str, seconds: float, error: BaseException | None = None) -> None:
        """Count one request, and whether it failed."""
        labels = (model, version)
        self.buckets[labels][bisect.bisect_left(_BOUNDS, seconds)] += 1
        self.seconds[labels] += seconds
        if error is not None:
            self.errors[labels] += 1
            if not isinstance(error, _CALLERS_OWN):
                self.failures[model] += 1

    def copy(self) -> Metrics:
        """Return what has been counted by now, so that a thread can write it while counting goes on."""
        now = Metrics()
        now.errors.update(self.errors)
        now.failures.update(self.failures)
        now.seconds.update(self.seconds)
        now.buckets.update({labels: [*counts] for labels, counts in self.buckets.items()})
        return now

    def lines(self) -> Iterator[str]:
        """Write every counter."""
        yield from self._requests()
        yield from self._errors()
        yield from self._failures()
        yield from self._latency()

    def _requests(self) -> Iterator[str]:
        yield "# TYPE loopline_requests_total counter"
        for labels, counts in self.buckets.items():
            yield f"loopline_requests_total{{{_written(labels)}}} {sum(counts)}"

    def _errors(self) -> Iterator[str]:
        yield "# TYPE loopline_errors_total counter"
        for labels, count in self.errors.items():
            yield f"loopline_errors_total{{{_written(labels)}}} {count}"

    def _failures(self) -> Iterator[str]:
        yield "# TYPE loopline_failures_total counter"
        for model in {model for model, _ in self.buckets}:
            yield f'loopline_failures_total{{model="{model}"}} {self.failures[model]}'

    def _latency(self) -> Iterator[str]:
        yield "# TYPE loopline_request_seconds histogram"
        for labels, counts in self.buckets.items():
            seconds = self.seconds[labels]
            yield from histogram.lines("loopline_request_seconds", _written(labels), _BOUNDS, counts, seconds)


class Watched:
    """One request, from its body to its answer."""

    __slots__ = ("_metrics", "_model", "_started", "version")

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self.version = ""

    def __enter__(self) -> Self:
        """Start the watch."""
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Count it, and whether it failed."""
        version = self.version or blamed(error)
        self._metrics.count(self._model, version, time.perf_counter() - self._started, error)


def _written(labels: Labels) -> str:
    model, version = labels
    return f'model="{model}",version="{version}"'
