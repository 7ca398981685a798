"""How often a test does anew what chance decides: few times at each run, and as often as one likes where asked."""

from __future__ import annotations

import os

VARIABLE = "LOOPLINE_TEST_REPEATS"
"""How many times as often as by default, such as 5 before a release; a part of it is allowed."""
TIMES = float(os.environ.get(VARIABLE, "1"))


def repeats(few: int) -> int:
    """Return how often: ``few`` by default, never less than once."""
    return max(1, round(few * TIMES))
