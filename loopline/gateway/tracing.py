"""OpenTelemetry span of each request, linked to the caller's trace, the model version, and the cycle that made it.

Needs the extra ``otel``. A W3C ``traceparent`` is taken on; without one a trace begins here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from loopline.platform_core.foundation.exporters import exporter_of, missing
from loopline.platform_core.foundation.spans import link
from loopline.platform_core.foundation.trace_ids import of_cycle

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link

    from loopline.gateway.gateway import Exchange

FIRST_FAILURE = 500
_CARRIED = ("traceparent", "tracestate")


class Tracer:
    """Makes a span when a request is over; the exporter works in a thread of its own."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("loopline.runtime")
        self._extract = TraceContextTextMapPropagator().extract

    @classmethod
    def to(cls, where: str, share: float = 1.0) -> Self:
        """Send spans to ``file:<path>`` (JSON lines) or to an OTLP collector's URL, for a share of new traces.

        Raises:
            Unsupported: OpenTelemetry is not installed. InvalidEnvironment: the place is neither.
        """
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

            exporter = exporter_of(where)
        except ImportError as error:
            raise missing(error) from error
        sampler = ParentBasedTraceIdRatio(share)
        provider = TracerProvider(sampler, Resource.create({"service.name": "loopline"}))
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        return cls(provider)  # the provider sends what is left when the process ends

    def keep(self, exchanges: Sequence[Exchange]) -> None:
        """Make a span each."""
        ended = time.time_ns()
        for one in exchanges:
            self._keep(one, ended)

    def _keep(self, exchange: Exchange, ended: int) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        carrier = {
            name: exchange.headers[raw].decode("latin-1")
            for name in _CARRIED
            if (raw := name.encode()) in exchange.headers
        }
        span = self._tracer.start_span(
            f"{exchange.method} {exchange.model or exchange.path}",
            context=self._extract(carrier),
            kind=SpanKind.SERVER,
            links=_links(exchange),
            start_time=ended - int(exchange.ms * 1e6),
        )
        if span.is_recording():
            span.set_attributes(_attributes(exchange))
        if exchange.status >= FIRST_FAILURE:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _links(exchange: Exchange) -> list[Link]:
    """Lead to the trace of the cycle that made the version which answered."""
    record = exchange.record
    return [link(of_cycle(record.cycle))] if record is not None and record.cycle else []


def _attributes(exchange: Exchange) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "http.request.method": exchange.method,
        "http.response.status_code": exchange.status,
        "loopline.request_id": exchange.request_id,
        "loopline.tenant": exchange.tenant,
        "loopline.model": exchange.model,
    }
    record = exchange.record
    if record is None:
        return attributes
    return attributes | {
        "loopline.version": record.version,
        "loopline.cycle": record.cycle,
        "loopline.role": record.role,
        "loopline.rows": len(record.keys),
        "loopline.missing_views": sorted({view for row in record.missing for view in row}),
        "loopline.stale_views": sorted({view for row in record.stale or () for view in row}),
    }
