"""How often a test does anew what chance decides: few times at each run, and as often as one likes where asked."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

VARIABLE = "LOOPLINE_TEST_REPEATS"
"""How many times as often as by default, such as 5 before a release; a part of it is allowed."""
TIMES = float(os.environ.get(VARIABLE, "1"))


def repeats(few: int) -> int:
    """Return how often: ``few`` by default, never less than once."""
    return max(1, round(few * TIMES))


def draws(few: int) -> settings:
    """Let hypothesis draw ``few`` examples, always the same, for a test that makes what it needs in each of them."""
    shared = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=repeats(few), deadline=None, derandomize=True, suppress_health_check=shared)
