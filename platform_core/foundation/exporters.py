"""Span exporters: into a file, or to an OTLP collector."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidEnvironment, Unsupported

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


def exporter_of(where: str | None) -> SpanExporter:
    """Return what sends spans to a place, else to where ``OTEL_*`` says.

    Raises:
        Unsupported: OpenTelemetry is not installed. InvalidEnvironment: the place is none.
    """
    if where and where.startswith("file:"):
        return _File(where.removeprefix("file:"))
    if where and not where.startswith(("http://", "https://")):
        raise InvalidEnvironment(f"traces: {where!r} is no place", "use file:<path> or http://…/v1/traces")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise missing(error) from error
    return OTLPSpanExporter(endpoint=where) if where else OTLPSpanExporter()


def missing(error: ImportError) -> Unsupported:
    """Return what to say where OpenTelemetry is not installed."""
    return Unsupported(f"traces need OpenTelemetry: {error}", "install loopline[otel]")


class _File:
    """Appends spans to a file as JSON lines, each batch in one write: several processes may share it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        from opentelemetry.sdk.trace.export import SpanExportResult

        os.write(self._file, "".join(f"{span.to_json(indent=None)}\n" for span in spans).encode())
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002 - OpenTelemetry's signature
        return True

    def shutdown(self) -> None:
        os.close(self._file)
