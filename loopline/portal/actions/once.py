"""Idempotent form submission: a repeated click gets the first one's outcome."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_OUTCOMES = 1_000


class Once(Generic[T]):
    """Remembers outcomes by key; what failed may be tried again."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, Future[T]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, key: str, act: Callable[[], T]) -> T:
        """Act, unless the key was acted on; raises what ``act`` raises, also for those who waited."""
        with self._lock:
            known = self._outcomes.get(key)
            own: Future[T] = known or Future()
            self._outcomes.setdefault(key, own)
            while len(self._outcomes) > MOST_OUTCOMES:
                self._outcomes.popitem(last=False)
        if known is not None:
            return known.result()
        try:
            outcome = act()
        except BaseException as error:
            with self._lock:
                self._outcomes.pop(key, None)
            own.set_exception(error)
            raise
        own.set_result(outcome)
        return outcome

    def known(self, key: str) -> T | None:
        """Return what came of a key; None for one that is not known, any more or yet."""
        with self._lock:
            found = self._outcomes.get(key)
        return found.result() if found is not None and found.done() else None
