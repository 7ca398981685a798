"""Adaptive rate limit of AWS requests: halves concurrency when throttled; backoff with jitter."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_CUT_SECONDS = 0.1
"""Requests that were underway together are refused together: that is one sign, not many."""
_FIRST_PAUSE_SECONDS = 0.02


class Pace:
    """Lets at most so many requests of this process's threads be underway; half as many once they are throttled.

    For each that is taken a little more is tried again, up to ``most``.
    """

    def __init__(self, most: int) -> None:
        self._most, self.at_once = most, float(most)
        self._underway, self._cut_at = 0, 0.0
        self._free = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait until one more may be underway."""
        with self._free:
            while self._underway >= int(self.at_once):
                self._free.wait()
            self._underway += 1
        try:
            yield
        finally:
            with self._free:
                self._underway -= 1
                self._free.notify()

    def taken(self) -> None:
        """Count a request that the service took."""
        if self.at_once < self._most:
            with self._free:
                self.at_once = min(self._most, self.at_once + 1 / self.at_once)
                self._free.notify()

    def throttled(self) -> None:
        """Count one that it refused because there were too many."""
        with self._free:
            if time.monotonic() - self._cut_at > _ONE_CUT_SECONDS:
                self._cut_at, self.at_once = time.monotonic(), max(1.0, self.at_once / 2)


def pause_seconds(tries: int, most: float) -> float:
    """Return how long to wait before the next try: a random time, below a bound that doubles with each."""
    return random.uniform(0, min(most, _FIRST_PAUSE_SECONDS * 2 ** min(tries, 20)))  # noqa: S311 - no secret
