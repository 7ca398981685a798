"""Context of the current request, shared by the application and its middleware, such as the gateway.

The application knows nothing of this: it names requests by ``protocol.new_id`` and logs by a function, and both ask
here.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.runtime.answering.inference import Log
    from loopline.platform_core.runtime.prediction_log.log import Record


def _everybody(_model: str) -> bool:
    return True


class RequestContext:
    """One request: its id on its way in, its record once it was logged, and which models its caller may ask."""

    __slots__ = ("may_ask", "record", "request_id")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.record: Record | None = None
        self.may_ask: Callable[[str], bool] = _everybody


REQUEST_CONTEXT: ContextVar[RequestContext | None] = ContextVar("noted", default=None)


def given_id() -> str | None:
    """Return the id that came with the request beside its body, None if nobody noted one."""
    noted = REQUEST_CONTEXT.get()
    return None if noted is None else noted.request_id


def may_ask(model: str) -> bool:
    """Say whether the caller at hand may ask a model, and so may know that it is there."""
    noted = REQUEST_CONTEXT.get()
    return noted is None or noted.may_ask(model)


def noting(log: Log) -> Log:
    """Return a log that also notes each record for who watches its request."""

    def log_and_note(model: str, record: Record) -> None:
        log(model, record)
        noted = REQUEST_CONTEXT.get()
        if noted is not None:
            noted.record = record

    return log_and_note
