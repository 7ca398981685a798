"""The classifier over all columns keeps its rate of false alarms, and sees what no column shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.monitor.drift import joint
from loopline.platform_core.monitor.drift.profile import Profile, build_profile


def rows(random: np.random.Generator, count: int, together: float = 0.0, missing: float = 0.0) -> pa.Table:
    """Draw numbers and a category; ``b`` goes with ``a``, and with each of them a value may be missing."""
    a, noise = random.normal(size=count), random.normal(size=count)
    lost = random.random(count) < missing
    return pa.table(
        {
            "a": a,
            "b": together * a + np.sqrt(1 - together**2) * noise,
            "c": np.where(random.random(count) < 0.1, np.nan, random.lognormal(size=count)),
            "d": np.where(lost, np.nan, random.normal(size=count)),
            "kind": random.choice(["x", "y", "z"], count, p=[0.6, 0.3, 0.1]),
        }
    )


def profile(together: float = 0.0) -> Profile:
    """Profile 5,000 rows."""
    table = rows(np.random.default_rng(0), 5_000, together)
    return build_profile(table, table.column_names, np.full(5_000, np.nan))


def test_quiet_windows_reach_the_threshold_as_often_as_is_allowed() -> None:
    """At 5 % about one quiet window in twenty lies above what random orders of the labels tell."""
    reference, random = profile(0.5), np.random.default_rng(1)
    found = [joint.judge(reference, rows(random, 150, 0.5), chance=0.05) for _ in range(120)]
    assert all(one is not None for one in found)
    above = np.mean([one.area >= one.threshold for one in found if one])
    assert 0.005 < above < 0.11
    assert np.mean([one.area for one in found if one]) == pytest.approx(0.5, abs=0.02)


def test_a_correlation_is_found_and_named() -> None:
    """Two columns that begin to go together, or cease to, are named; their marginals are as before."""
    for before, after in ((0.0, 0.6), (0.7, 0.0)):
        found = joint.judge(profile(before), rows(np.random.default_rng(2), 500, after), chance=0.001)
        assert found.area > found.threshold >= joint.LEAST_AREA
        assert found.tells == "a with b"


def test_what_is_known_to_have_moved_is_left_out() -> None:
    """With both columns left out nothing is found."""
    window = rows(np.random.default_rng(2), 500, 0.6)
    found = joint.judge(profile(), window, chance=0.001, without=("a", "b"))
    assert found.area < found.threshold


def test_the_same_rows_give_the_same_answer() -> None:
    """Asked twice, it says the same; rows beyond the bound change neither time nor the number looked at."""
    window = rows(np.random.default_rng(3), 4_000)
    first, second = (joint.judge(profile(), window, chance=0.01) for _ in range(2))
    assert first == second
    assert joint.sampled(window).num_rows == joint.WINDOW_ROWS


def test_values_that_no_sum_can_hold_are_missing_ones() -> None:
    """The classifier sees the largest float64 as it sees a null."""
    drawn = rows(np.random.default_rng(3), 500)
    lost, spoilt = (drawn["a"].to_numpy().copy() for _ in range(2))
    lost[::3], spoilt[::3] = np.nan, np.finfo(float).max
    first, second = (
        joint.judge(profile(), drawn.set_column(0, "a", pa.array(values)), chance=0.01) for values in (lost, spoilt)
    )
    assert first == second


def test_few_rows_or_no_columns_are_not_judged() -> None:
    """A classifier that could learn nothing says nothing."""
    few = rows(np.random.default_rng(4), joint.FEWEST_ROWS - 1)
    assert joint.judge(profile(), few, chance=0.01) is None
    every = ("a", "b", "c", "d", "kind")
    assert joint.judge(profile(), rows(np.random.default_rng(4), 500), chance=0.01, without=every) is None
