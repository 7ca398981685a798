"""Retries of calls to a cloud service until a deadline, with error mapping."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from loopline.platform_core.errors import StoreUnavailable
from loopline.resources.managed_jobs.deadline import write_line

T = TypeVar("T")
PAUSE_SECONDS = 2.0
_TOLD_SECONDS = 10.0


class Again(Exception):  # noqa: N818 - no error, but what to do
    """The call may be made again; ``error`` is what to raise when nobody waits any longer."""

    def __init__(self, error: StoreUnavailable) -> None:
        self.error = error


@dataclass(frozen=True)
class Asking:
    """How one service is asked.

    ``service`` is its name; ``judge`` says of what a call raised what it is: worth another try (``Again``), an error of
    ours, or that same exception, which its caller knows. A service may be away for ``patience_seconds``.
    """

    service: str
    judge: Callable[[Exception, str], Exception]
    patience_seconds: float

    def ask(self, call: Callable[[], T], what: str) -> T:
        """Make a call; of what is worth another try, until patience ends.

        Raises:
            StoreUnavailable: there is no answer. LooplineError: what ``judge`` makes of it.
        """
        began, told = time.monotonic(), False
        while True:
            try:
                return call()
            except Exception as error:
                away = self.judge(error, what)
                waited = time.monotonic() - began
                if away is error:
                    raise
                if not isinstance(away, Again) or waited > self.patience_seconds:
                    raise (away.error if isinstance(away, Again) else away) from error
            if waited > _TOLD_SECONDS and not told:
                write_line(f"{self.service} does not answer; what runs goes on: {away.error.problem}")
                told = True
            time.sleep(PAUSE_SECONDS)
