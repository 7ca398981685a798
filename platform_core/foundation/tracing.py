"""OpenTelemetry tracing of the loop, from the file that lands to the rollout of the version trained on it.

Off unless the environment file says ``traces``, or the process has an OTLP endpoint in ``OTEL_*``. Off, nothing of
OpenTelemetry is imported, and a span costs a look at a variable.

The trace of a cycle has an id that follows from the cycle's: whoever knows the cycle, in whatever process, adds to its
trace, and a request links to it by the cycle that it logs anyway.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from loopline.platform_core.foundation import logs
from loopline.platform_core.foundation.trace_ids import of_cycle

if TYPE_CHECKING:
    from loopline.platform_core.foundation.spans import Spans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables: one of them set, spans are sent there."""
TRACE = "trace"
"""Ledger details: the W3C ``traceparent`` of the span in which the entry was made."""


class Spanned(Protocol):
    """What runs inside a span."""

    def note(self, **attributes: Any) -> None:
        """Add attributes, named ``loopline.<name>``."""

    def link(self, links: Sequence[str]) -> None:
        """Lead to other spans, by their ``traceparent``s."""


class _Untraced:
    """What runs while nothing is traced."""

    def note(self, **attributes: Any) -> None:
        """Forget it."""

    def link(self, links: Sequence[str]) -> None:
        """Forget them."""


_OFF: AbstractContextManager[Spanned] = nullcontext(_Untraced())
_spans: Spans | None = None


def start(where: str | None = None) -> None:
    """Trace this process from now on, if it does not yet: to the place given, else to that in ``OTEL_*``, if any.

    ``where`` is ``file:<path>`` (JSON lines) or ``http(s)://…/v1/traces``, an OTLP collector's address.

    Raises:
        Unsupported: OpenTelemetry is not installed. InvalidEnvironment: the place is neither.
    """
    global _spans  # noqa: PLW0603 - a process has one tracer, as OpenTelemetry itself has it
    if _spans is None and (where or _is_enabled()):
        from loopline.platform_core.foundation.spans import Spans

        _spans = Spans.to(where)


def stop() -> None:
    """Send what is left, and trace no more."""
    global _spans  # noqa: PLW0603
    if _spans is not None:
        _spans.close()
        _spans = None


def on() -> bool:
    """Say whether this process is traced: what only a span would tell need not be looked up otherwise."""
    return _spans is not None


def span(
    name: str, *, cycle: str = "", parent: str = "", links: Sequence[str] = (), **attributes: Any
) -> AbstractContextManager[Spanned]:
    """Trace what runs inside; an error marks the span with its type, not with its words.

    With ``cycle`` it belongs to that cycle's trace. ``parent`` and ``links`` are ``traceparent``s. Attributes are
    named ``loopline.<name>``; one that is None or "" is left out.
    """
    about = attributes | ({"cycle": cycle} if cycle else {})
    if logs.on():
        return _logged(name, about, cycle, parent, links)
    return _OFF if _spans is None else _spans.span(name, about, cycle, parent, links)


@contextmanager
def _logged(name: str, about: Mapping[str, Any], cycle: str, parent: str, links: Sequence[str]) -> Iterator[Spanned]:
    """Trace and log what runs inside; a step of a cycle names its trace also where nothing is traced."""
    with _OFF if _spans is None else _spans.span(name, about, cycle, parent, links) as spanned:
        carried = trace_details().get(TRACE) or (of_cycle(cycle) if cycle else "")
        with logs.step(name, {**about, TRACE: carried[3:35]}) as noted:
            yield _Both(spanned, noted)


class _Both:
    """A span, and the line that is logged when it ends."""

    def __init__(self, spanned: Spanned, noted: dict[str, Any]) -> None:
        self._spanned, self._noted = spanned, noted

    def note(self, **attributes: Any) -> None:
        """Add attributes to both."""
        self._spanned.note(**attributes)
        self._noted.update(attributes)

    def link(self, links: Sequence[str]) -> None:
        """Lead to other spans."""
        self._spanned.link(links)


def opened(cycle: str, **attributes: Any) -> None:
    """Begin the trace of a cycle."""
    if _spans is not None:
        _spans.root("cycle opened", attributes | {"cycle": cycle}, of_cycle(cycle))


def trace_details(**also: Any) -> Mapping[str, Any]:
    """Return what carries the present span on, into ledger details or a task's arguments; nothing while off."""
    parent = _spans.traceparent() if _spans is not None else ""
    return {TRACE: parent, **also} if parent else {}


def _is_enabled() -> bool:
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(os.environ.get(name) for name in ENDPOINTS)
