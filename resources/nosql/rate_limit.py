"""Rate limit of writes: slows down when the service throttles; retries with a deadline."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from loopline.platform_core.errors import StoreUnavailable, Transient

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
GROWTH = 1.1
"""By how much the rate grows in a second in which nothing was refused."""
SLOWEST = 5.0
"""Rows a second below which nobody is slowed down."""


class Throttled(StoreUnavailable):
    """The service took less than it was given; ``delay_seconds`` is what it asked for."""


class NotLetIn(StoreUnavailable):
    """Who asks is not known, or has not the right; somebody else has to do something, so it is not tried again here."""


class Pace:
    """Rows a second, shared by the threads of one store: unbounded until something is refused, then half of what went.

    After that it grows by a tenth each second, until the service says so again.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep, self._lock = clock, sleep, threading.Lock()
        self.rows_per_second: float | None = None
        self._free_at = self._changed_at = self._since = clock()
        self._sent, self._last = 0, 0.0

    def take(self, rows: int) -> None:
        """Wait until so many rows may go, some seconds at most: what then is too much is said by the service."""
        with self._lock:
            now = self._clock()
            self._count(rows, now)
            if self.rows_per_second is None:
                return
            self.rows_per_second *= GROWTH ** (now - self._changed_at)
            self._changed_at = now
            begin = min(max(now, self._free_at), now + LONGEST_PAUSE_SECONDS)
            self._free_at = begin + rows / self.rows_per_second
        if begin > now:
            self._sleep(begin - now)

    def slow_down(self) -> None:
        """Halve the rate; of several refusals at once, one counts."""
        with self._lock:
            now = self._clock()
            if self.rows_per_second is None:
                self.rows_per_second = self._last or self._sent / max(now - self._since, 1.0)
            elif now - self._changed_at < FIRST_PAUSE_SECONDS:
                return
            self.rows_per_second = max(self.rows_per_second / 2, SLOWEST)
            self._changed_at = now

    def _count(self, rows: int, now: float) -> None:
        """Keep how many rows a second went, second by second."""
        if (passed := now - self._since) >= 1:
            self._last, self._sent, self._since = self._sent / passed, 0, now
        self._sent += rows


class Patience:
    """How long to try again without getting anywhere: pauses grow, are scattered, and end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.progressed()

    def progressed(self) -> None:
        """Begin again: something was done."""
        self._end, self._pause = time.monotonic() + self._seconds, FIRST_PAUSE_SECONDS

    def wait(self, why: Transient) -> None:
        """Pause before the next try.

        Raises:
            Transient: ``why``, when there is no time left for one, or none would help.
        """
        if isinstance(why, NotLetIn):
            raise why
        asked = why.delay_seconds if isinstance(why, Throttled) else 0.0
        pause = max(asked, self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - scattered, not secret
        if time.monotonic() + pause >= self._end:
            raise why
        time.sleep(pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
