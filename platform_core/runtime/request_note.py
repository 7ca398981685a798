"""What is noted of the request at hand for whoever stands before the application: the id that came, the record made.

The application knows nothing of this: it names requests by ``protocol.new_id`` and logs by a function, and both ask
here.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.runtime.answering.inference import Log
    from loopline.platform_core.runtime.prediction_log.log import Record


class RequestNote:
    """One request: the id that it was given on its way in, and its record once it was logged."""

    __slots__ = ("record", "request_id")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.record: Record | None = None


REQUEST_NOTE: ContextVar[RequestNote | None] = ContextVar("noted", default=None)


def given_id() -> str | None:
    """Return the id that came with the request beside its body, None if nobody noted one."""
    noted = REQUEST_NOTE.get()
    return None if noted is None else noted.request_id


def noting(log: Log) -> Log:
    """Return a log that also notes each record for who watches its request."""

    def log_and_note(model: str, record: Record) -> None:
        log(model, record)
        noted = REQUEST_NOTE.get()
        if noted is not None:
            noted.record = record

    return log_and_note
