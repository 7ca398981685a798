"""Rows are cut into windows, and counted by them, whatever their order and however far they lie apart."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.monitor.quality.outcomes import DAY_US, Outcomes
from loopline.platform_core.monitor.quality.quality_windows import Counted, counted, windows

DAYS = st.one_of(st.integers(-30, 30), st.integers(-700_000, 700_000))
LABELS = st.sampled_from([0.0, 1.0, np.nan])


@given(st.lists(st.tuples(DAYS, LABELS), max_size=12), st.integers(1, 9))
def test_rows_are_counted_as_they_are_cut(rows: list[tuple[int, float]], days: int) -> None:
    """Windows without a row are not told of, and there is no room for each of thousands of them."""
    events, labels = (np.array([row[part] for row in rows]) for part in (0, 1))
    given_rows = Outcomes((events * DAY_US).astype(np.int64), np.zeros(len(rows)), labels.astype(float), {})
    cut = list(windows(given_rows, timedelta(days=days)))
    assert list(counted(given_rows, timedelta(days=days))) == [
        Counted(start, len(own), bool(np.isfinite(own.labels).any())) for start, own in cut
    ]
    assert sum(len(own) for _, own in cut) == len(rows)
    assert all(start.weekday() == 0 for start, _ in cut) or days % 7
