"""Two features are alike one by one exactly where they are alike as columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from loopline.platform_core.monitor.skew.skew_cause import Held, alike, differs

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


VALUES = st.none() | st.floats() | st.integers(-(2**53), 2**53) | st.sampled_from(["a", "b", [1.0, 2.0], [1.0, None]])


@given(st.lists(st.none() | st.floats(), max_size=4), VALUES, RELATIVE)
def test_a_history_of_numbers(numbers: list[float | None], value: object, relative: float) -> None:
    """Each offline row of an entity beside one answer: as one by one, near by as much as is allowed of the answer."""
    column = pa.chunked_array([pa.array(numbers, pa.float64())])
    times = np.zeros(len(numbers), dtype=np.int64)
    with np.errstate(over="ignore"):
        marked = Held(times, times, [column]).alike([value], relative)
    assert marked.tolist() == [alike([number], [value], relative) for number in numbers]


@given(VALUES)
def test_a_history_of_words_and_vectors(value: object) -> None:
    """A column of another type than the answer's has no row like it."""
    words, vectors = ["a", None, "b"], [[1.0, 2.0], None, [1.0, float("nan")]]
    times = np.zeros(3, dtype=np.int64)
    held = Held(times, times, [pa.chunked_array([words])])
    assert held.alike([value], 0.0).tolist() == [alike([word], [value], 0.0) for word in words]
    held = Held(times, times, [pa.chunked_array([vectors])])
    assert held.alike([value], 0.0).tolist() == [alike([vector], [value], 0.0) for vector in vectors]
