"""Choice by measured time: predictions made in the event loop, and those handed to a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INLINE_SECONDS = 0.002
"""A thread costs about 0.1 ms and lets the others go on; a prediction of 5 µs is not worth it, one of 5 ms is."""
THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="batch")
"""For slow models and many rows: libraries let go of the interpreter's lock, and Python gives it up now and then."""
MOST_INLINE = 256
"""Rows whose features are put together in the event loop, whatever the model costs: about 3 µs a row."""
_MANY = 64
_TRIES, _MOST_TRIES = 4, 20
_HOPELESS, _SURE = 10, 3
LONGEST_SECONDS = 1.0
"""Trying a model that waits for others, and computes nothing itself, would delay the start by all its tries."""

Predict = Callable[[Any], "NDArray[np.float64]"]
Blank = Callable[[int], Any]
"""Makes so many rows for a model to be tried with."""


def inline_rows(predict: Predict, blank: Blank) -> int:
    """Return how many rows at once a model answers within ``INLINE_SECONDS``, by trying; 0 when one is too slow."""
    one = fastest(predict, blank(1))
    if one > INLINE_SECONDS:
        return 0
    each = (fastest(predict, blank(_MANY)) - one) / (_MANY - 1)
    return min(MOST_INLINE, 1 + int((INLINE_SECONDS - one) / each)) if each > 0 else MOST_INLINE


def fastest(predict: Predict, given: Any, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of the fastest try, once a few in a row were no faster: others may use the machine.

    One that is far too slow is not tried again, if this thread computed all the while; others may have held it up.
    """
    end = time.perf_counter() + LONGEST_SECONDS
    hopeless = _HOPELESS * INLINE_SECONDS
    best = own = float("inf")
    since = 0
    for tried in range(1, _MOST_TRIES + 1):
        started, began = clock(), time.thread_time()
        predict(given)
        seconds, own = clock() - started, min(own, time.thread_time() - began)
        best, since = (seconds, 0) if seconds < best else (best, since + 1)
        if since == _TRIES or own > hopeless or (tried >= _SURE and best > hopeless) or time.perf_counter() > end:
            break
    return best
