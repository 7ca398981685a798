"""Two features are alike one by one exactly where they are alike as columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from loopline.platform_core.monitor.skew_cause import alike, differs

NUMBERS = st.floats() | st.integers(-(2**63), 2**63 - 1) | st.booleans()
RELATIVE = st.sampled_from([0.0, 1e-9, 1e-3, 1.0])


@given(NUMBERS, NUMBERS, RELATIVE)
@example(float("inf"), float("inf"), 0.0)
@example(float("inf"), 1.0, 1.0)
@example(1.0, float("inf"), 1.0)
@example(1.7e308, -1.7e308, 1e-9)
@example(float("nan"), 1.0, 1.0)
@example(1.0, 1.001, 1e-3)
def test_numbers_one_by_one_and_as_columns(left: float, right: float, relative: float) -> None:
    """Served, offline: near by as much as is allowed of the offline one, both infinite, or both missing."""
    with np.errstate(over="ignore"):
        differing = differs([left], pa.chunked_array([pa.array([float(right)])]), relative)
    assert alike([left], [right], relative) == (not differing[0])


@given(NUMBERS, st.floats(-1.0, 1.0), RELATIVE)
def test_numbers_that_lie_close_together(right: float, step: float, relative: float) -> None:
    """A difference of about what is allowed."""
    left = float(right) + step * (relative + relative * abs(float(right)))
    with np.errstate(over="ignore"):
        differing = differs([left], pa.chunked_array([pa.array([float(right)])]), relative)
    assert alike([left], [right], relative) == (not differing[0])
