"""Spans of OpenTelemetry's SDK; imported by ``tracing`` only where tracing is on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any, Self

from loopline.platform_core.foundation.exporters import exporter_of, missing
from loopline.platform_core.foundation.trace_ids import of_cycle

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link, Span

SEND_SECONDS = 1.0
_Ids = tuple[int, int]


class Spans:
    """Makes the spans of this process; a thread of its own sends them on."""

    def __init__(self, exporter: SpanExporter) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise missing(error) from error
        self._ids = _ChosenIds()
        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "loopline")})
        self._provider: TracerProvider = TracerProvider(
            resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SEND_SECONDS * 1000))
        self._tracer = self._provider.get_tracer("loopline")
        # as the SDK itself would do, but also where a process was forked and never comes to ``atexit``, as runs do
        self._last = Finalize(None, self._provider.shutdown, exitpriority=10)

    @classmethod
    def to(cls, where: str | None) -> Self:
        """Send spans to a place, else to where ``OTEL_*`` says."""
        return cls(exporter_of(where))

    def close(self) -> None:
        """Send what is left."""
        self._last()

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, Any], cycle: str, parent: str, links: Sequence[str]
    ) -> Iterator[_Noted]:
        """Make a span around what runs inside."""
        from opentelemetry.trace import StatusCode

        began = self._tracer.start_as_current_span(
            name,
            context=_context(cycle, parent),
            attributes=_named(attributes),
            links=[link(each) for each in links],
            record_exception=False,  # its words may hold rows
            set_status_on_exception=False,
        )
        with began as span:
            try:
                yield _Noted(span)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def root(self, name: str, attributes: Mapping[str, Any], traceparent: str) -> None:
        """Make the first span of a trace whose ids are known before."""
        from opentelemetry.context import Context

        now = time.time_ns()
        self._ids.next = _ids_of(traceparent)
        try:
            span = self._tracer.start_span(name, context=Context(), attributes=_named(attributes), start_time=now)
        finally:
            self._ids.next = None
        span.end(max(now, time.time_ns()))

    def traceparent(self) -> str:
        """Return the ``traceparent`` of the present span, "" outside."""
        from opentelemetry.trace import get_current_span

        found = get_current_span().get_span_context()
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}" if found.is_valid else ""


class _Noted:
    """A span to which attributes are added."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def note(self, **attributes: Any) -> None:
        self._span.set_attributes(_named(attributes))

    def link(self, links: Sequence[str]) -> None:
        for each in links:
            self._span.add_link(_remote(each))


class _ChosenIds(threading.local):
    """Makes random ids, but for a trace that has its own."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        self.next: _Ids | None = None
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        return self.next[0] if self.next else int(self._random.generate_trace_id())

    def generate_span_id(self) -> int:
        return self.next[1] if self.next else int(self._random.generate_span_id())

    def is_trace_id_random(self) -> bool:
        return True


def _context(cycle: str, parent: str) -> Context | None:
    """Choose the parent: the one given, else the span that runs if it is of the cycle, else the cycle's first."""
    from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context

    if not parent:
        parent = of_cycle(cycle) if cycle else ""
        if not parent or get_current_span().get_span_context().trace_id == _ids_of(parent)[0]:
            return None
    return set_span_in_context(NonRecordingSpan(_remote(parent)))


@lru_cache(1_000)
def link(traceparent: str) -> Link:
    """Return a link to a span of another trace."""
    from opentelemetry.trace import Link

    return Link(_remote(traceparent))


def _remote(traceparent: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    trace, span = _ids_of(traceparent)
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _ids_of(traceparent: str) -> _Ids:
    _, trace, span, _ = traceparent.split("-")
    return int(trace, 16), int(span, 16)


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"loopline.{name}": value for name, value in attributes.items() if value is not None and value != ""}
