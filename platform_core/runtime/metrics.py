"""Prometheus metrics of one server worker: requests, errors, rows and latency by model version."""

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


class Count:
    """What was asked of a version: requests by their time, those that failed, and rows that were predicted.

    ``failed_seconds`` are among the ``seconds``; ``last`` is when the last request ended, by ``time.perf_counter``.
    """

    __slots__ = ("buckets", "errors", "failed_seconds", "last", "rows", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = self.failed_seconds = self.last = 0.0
        self.errors = self.rows = 0

    def copy(self) -> Count:
        """Return what has been counted by now."""
        now = Count()
        for name in Count.__slots__:
            setattr(now, name, getattr(self, name))
        now.buckets = [*self.buckets]
        return now


class Metrics:
    """Requests, errors, rows and seconds by model and version; failures (errors not the caller's own) by model."""

    def __init__(self) -> None:
        self.counts: defaultdict[Labels, Count] = defaultdict(Count)
        self.failures: defaultdict[str, int] = defaultdict(int)

    def request(self, model: str) -> Watched:
        """Watch one request; set ``version`` once it is known, and ``rows`` once they are predicted."""
        return Watched(self, model)

    def count(
        self, model: str, version: str, started: float, error: BaseException | None = None, rows: int = 0
    ) -> None:
        """Count one request that began at ``started`` (``time.perf_counter``) and ends now, and whether it failed."""
        now = time.perf_counter()
        seconds = now - started
        count = self.counts[model, version]
        count.buckets[bisect.bisect_left(_BOUNDS, seconds)] += 1
        count.seconds += seconds
        count.last = now
        if error is None:
            count.rows += rows
            return
        count.errors += 1
        count.failed_seconds += seconds
        if not isinstance(error, _CALLERS_OWN):
            self.failures[model] += 1

    def copy(self) -> Metrics:
        """Return what has been counted by now, so that a thread can write it while counting goes on."""
        now = Metrics()
        now.counts.update({labels: count.copy() for labels, count in self.counts.items()})
        now.failures.update(self.failures)
        return now

    def lines(self) -> Iterator[str]:
        """Write every counter."""
        yield from self._requests()
        yield from self._rows()
        yield from self._errors()
        yield from self._failures()
        yield from self._latency()

    def _requests(self) -> Iterator[str]:
        name = "loopline_requests_total"
        yield from histogram.head(name, "counter", "Requests for a prediction, by the version that was to answer.")
        for labels, count in self.counts.items():
            yield f"{name}{{{_written(labels)}}} {sum(count.buckets)}"

    def _rows(self) -> Iterator[str]:
        name = "loopline_rows_total"
        yield from histogram.head(name, "counter", "Rows that were predicted.")
        for labels, count in self.counts.items():
            yield f"{name}{{{_written(labels)}}} {count.rows}"

    def _errors(self) -> Iterator[str]:
        name = "loopline_errors_total"
        yield from histogram.head(name, "counter", "Requests that were answered by an error, whoever was to blame.")
        for labels, count in self.counts.items():
            if count.errors:
                yield f"{name}{{{_written(labels)}}} {count.errors}"

    def _failures(self) -> Iterator[str]:
        name = "loopline_failures_total"
        yield from histogram.head(name, "counter", "Requests that failed through no fault of the caller.")
        for model in {model for model, _ in self.counts}:
            yield f'{name}{{model="{model}"}} {self.failures[model]}'

    def _latency(self) -> Iterator[str]:
        name = "loopline_request_seconds"
        yield from histogram.head(name, "histogram", "Time from a request's body to its answer.")
        for labels, count in self.counts.items():
            yield from histogram.lines(name, _written(labels), _BOUNDS, count.buckets, count.seconds)


class Watched:
    """One request, from its body to its answer."""

    __slots__ = ("_metrics", "_model", "_started", "rows", "version")

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self.version, self.rows = "", 0

    def __enter__(self) -> Self:
        """Start the watch."""
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Count it, and whether it failed."""
        self._metrics.count(self._model, self.version or blamed(error), self._started, error, self.rows)


def _written(labels: Labels) -> str:
    model, version = labels
    return f'model="{model}",version="{version}"'
