"""Retries of DynamoDB requests, with backoff when throttled and a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.resources.aws.failure import (
    cause,
    client_errors,
    code,
    failure,
    is_throttled,
    is_worth_another_try,
)
from loopline.resources.aws.pace import Pace, pause_seconds
from loopline.resources.dynamodb.items import Item
from loopline.resources.dynamodb.table import Table

_LONGEST_PAUSE_SECONDS = 2.0
_CONDITION = "ConditionalCheckFailedException"


class Outcome(NamedTuple):
    """What the service said: None if the condition did not hold, of what it ``held``.

    ``unsure`` is whether an answer was lost before.
    """

    answer: Any
    held: Item
    unsure: bool


class Insistence:
    """What one write is carried out with; several threads use it."""

    def __init__(self, table: Table, pace: Pace, patience_seconds: float) -> None:
        self.table, self._pace, self._patience_seconds = table, pace, patience_seconds
        self._taken_at = time.monotonic()
        self.is_given_up = False

    def ask(self, call: Callable[..., Any], needs: str = "", **asked: Any) -> Outcome:
        """Ask until there is an answer, with ``needs`` in it; whether that is progress is for the caller to say.

        Raises:
            StoreUnavailable: nothing was taken for ``patience_seconds``, by any thread.
            LooplineError: else, what the service refuses.
        """
        tries, unsure = 0, False
        while True:
            try:
                with self._pace.slot():
                    answer = call(**asked)
            except client_errors() as error:
                if code(error) == _CONDITION:
                    self.took()
                    return Outcome(None, getattr(error, "response", {}).get("Item") or {}, unsure)
                unsure |= not is_throttled(error)
                self._failed(error, tries)
            else:
                if not needs or needs in answer:  # boto3 takes what it cannot read for nothing
                    return Outcome(answer, {}, unsure)
                self.wait(self._nothing("an answer that is none came back"), tries)
            tries += 1

    def repeat(self, call: Callable[[], None]) -> None:
        """Call until it does not fail for a moment's reasons."""
        tries = 0
        while True:
            try:
                return call()
            except StoreUnavailable as told:
                if told.delay_seconds > self._patience_seconds:
                    raise  # somebody has to act first
                self.wait(told, tries)
                tries += 1

    def took(self) -> None:
        """Count progress."""
        self._taken_at = time.monotonic()
        self._pace.taken()

    def left(self, tries: int) -> None:
        """Wait, since the service has left everything undone: it is throttled."""
        self._pace.throttled()
        self.wait(self._nothing("the service left everything undone"), tries)

    def wait(self, told: LooplineError, tries: int) -> None:
        """Wait before another try, or give up with this error."""
        if self.is_given_up or time.monotonic() - self._taken_at > self._patience_seconds:
            raise told
        time.sleep(pause_seconds(tries, _LONGEST_PAUSE_SECONDS))

    def _failed(self, error: Exception, tries: int) -> None:
        told = self.table.told(failure(error, f"writing DynamoDB's table {self.table.name!r}"))
        told.__cause__ = cause(error)
        if not is_worth_another_try(error):
            raise told
        if is_throttled(error):
            self._pace.throttled()
        self.wait(told, tries)

    def _nothing(self, why: str) -> StoreUnavailable:
        problem = f"writing DynamoDB's table {self.table.name!r}: {why}"
        return StoreUnavailable(problem, "see whether it is throttled, and what is between here and the endpoint")
