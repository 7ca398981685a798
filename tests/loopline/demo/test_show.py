"""How fast a story's days go by when few are left."""

from __future__ import annotations

import pytest

from loopline.demo.show import SLOWEST, pace_left


@pytest.mark.parametrize(("left", "pace"), [(119, 1.0), (60, 1.0), (30, 0.5), (6, 0.1), (1, SLOWEST)])
def test_the_fewer_days_are_left_the_slower_they_go(left: int, pace: float) -> None:
    """A machine that needs more time for the last part of a story does not run out of days."""
    assert pace_left(left, 120) == pytest.approx(pace)
