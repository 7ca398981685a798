"""How tests wait for what they can look at, instead of for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 30, every: float = 0.02, told: Callable[[], object] = str) -> T:
    """Look until what ``condition`` returns is true, and return that.

    Raises:
        AssertionError: It is not within ``seconds``; with what ``told`` says then.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {told()}"
        time.sleep(every)  # between two looks: what is looked at tells nobody
    return found
