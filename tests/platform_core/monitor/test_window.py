"""Quiet windows stay quiet at any size, and what moves is found."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.monitor.drift.alarm import alarm
from loopline.platform_core.monitor.drift.drift_verdicts import WindowVerdict
from loopline.platform_core.monitor.drift.profile import Profile, build_profile
from loopline.platform_core.monitor.drift.threshold import FLOOR, effective, share_threshold, threshold
from loopline.platform_core.monitor.drift.window import judge_window
from loopline.platform_core.specs import Drift

NUMERIC = [f"n{i}" for i in range(4)] + [f"heavy{i}" for i in range(3)] + ["count"]
CATEGORIES = {"c2": 2, "c10": 10, "c500": 500}


def rows(random: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    """Draw columns as a training set or a quiet window has them."""
    drawn = {name: random.lognormal(0, 1, size) if "heavy" in name else random.normal(size=size) for name in NUMERIC}
    drawn["count"] = random.poisson(3, size).astype(float)
    for name, levels in CATEGORIES.items():
        weights = np.random.default_rng(levels).dirichlet(np.full(levels, 2.0))
        drawn[name] = np.array([f"v{i}" for i in random.choice(levels, size, p=weights)])
    return drawn


@cache
def reference() -> Profile:
    """Profile 20,000 training rows."""
    random = np.random.default_rng(0)
    table = pa.table(rows(random, 20_000))
    return build_profile(table, table.column_names, random.random(20_000))


def served(columns: dict[str, np.ndarray], scores: np.ndarray | None = None) -> pa.Table:
    """Write columns as the prediction log carries them."""
    names, size = list(columns), len(next(iter(columns.values())))
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    scores = np.random.default_rng(size).random(size) if scores is None else scores
    return pa.table({"features": [json.dumps(dict(zip(names, row, strict=True))) for row in values], "score": scores})


def quiet(seed: int, size: int) -> WindowVerdict:
    """Judge a window from the training set's own source."""
    random = np.random.default_rng(seed)
    return judge_window(reference(), served(rows(random, size), random.random(size)))


@pytest.mark.parametrize(("size", "windows"), [(500, 100), (2_000, 40)])
def test_quiet_windows_do_not_alarm(size: int, windows: int) -> None:
    """With no drift at all at most one alarm in a hundred, and any column in hardly more than the calibrated 5 %."""
    verdicts = [quiet(seed, size) for seed in range(1_000, 1_000 + windows)]
    alarms = [alarm(Drift(), verdicts[: end + 1]) for end in range(windows)]
    assert sum(found is not None for found in alarms) <= windows // 100
    assert sum(bool(verdict.drifted) for verdict in verdicts) <= 0.1 * windows


def test_a_third_of_a_deviation_alarms() -> None:
    """A shift of 0.3 deviations in one column drifts it in every window, and such windows alarm for it alone."""
    verdicts = []
    for seed in (1, 2, 3):
        drawn = rows(np.random.default_rng(seed), 500)
        verdicts.append(judge_window(reference(), served(drawn | {"n0": drawn["n0"] + 0.3})))
    assert all("n0" in verdict.drifted for verdict in verdicts)
    found = alarm(Drift(), verdicts)
    assert found.columns == ("n0",)
    assert "n0 0." in found.reason


def test_too_few_rows_are_not_judged() -> None:
    """Below the rule's rows the verdict is that there are not enough."""
    assert quiet(0, 499) == WindowVerdict(499, enough=False, columns={})


def test_unseen_categories_have_a_share_of_their_own() -> None:
    """Values that training never showed are counted; a new value in a column of few drifts it."""
    drawn = rows(np.random.default_rng(1), 600)
    drawn["c2"][:150] = "brand new"
    verdict = judge_window(reference(), served(drawn)).columns
    assert verdict["c2"].unseen_share == 0.25
    assert verdict["c2"].drifted
    assert verdict["c500"].unseen_share == 0.0


def test_values_that_are_lost_drift() -> None:
    """A feature that is no longer served, wholly or in part, has drifted although no value of it moved."""
    drawn = rows(np.random.default_rng(1), 600)
    del drawn["n1"]
    drawn["n2"] = np.where(np.arange(600) % 4 == 0, None, drawn["n2"])
    verdict = judge_window(reference(), served(drawn))
    assert verdict.drifted == ("n1", "n2")
    assert (verdict.columns["n1"].score, verdict.columns["n1"].missing_share) == (0.0, 1.0)
    found = alarm(Drift(), [verdict, verdict])
    assert "n1 missing in 100%" in found.reason


@pytest.mark.parametrize("value", [np.finfo(float).max, -np.finfo(float).max])
def test_the_largest_floats_hide_no_drift(value: float) -> None:
    """Two values that no sum can hold leave the drift of the other 498 as it is; half a window of them is missing."""
    drawn = rows(np.random.default_rng(1), 500)
    moved = drawn["n0"] + 5
    plain = judge_window(reference(), served(drawn | {"n0": np.where(np.arange(500) < 2, None, moved)})).columns["n0"]
    spoilt = judge_window(reference(), served(drawn | {"n0": np.where(np.arange(500) < 2, value, moved)})).columns["n0"]
    assert spoilt == plain
    assert (spoilt.drifted, spoilt.missing_share) == (True, pytest.approx(0.004))
    half = judge_window(reference(), served(drawn | {"n0": np.where(np.arange(500) < 250, value, drawn["n0"])}))
    assert half.columns["n0"].missing_share == 0.5
    assert half.drifted == ("n0",)


def test_values_of_another_type_count_as_missing() -> None:
    """Text in a numeric column does not stop the monitor."""
    drawn = rows(np.random.default_rng(1), 500)
    verdict = judge_window(reference(), served(drawn | {"n0": np.array(["?"] * 500)}))
    assert verdict.columns["n0"].missing_share == 1.0


def test_thresholds_shrink_with_the_window_and_repeat() -> None:
    """Small windows need larger distances; the floor is 0.1; the same question has the same answer."""
    sizes = [threshold(reference(), "heavy0", rows) for rows in (100, 500, 2_000, 20_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.2
    assert sizes[-1] == FLOOR
    again = Profile(reference().columns, reference().sample)
    assert threshold(again, "heavy0", 500) == sizes[1]
    assert threshold(reference(), "n0", 511) == threshold(reference(), "n0", 500 + 11)


def test_a_small_reference_is_held_against_both_sides() -> None:
    """The reference is a sample as well: with 500 rows it counts as half of a window of 500."""
    assert effective(500, 500) == 250
    assert effective(500, 1_000_000) == 499
    assert share_threshold(0.5, 20, 0.005) > share_threshold(0.0, 2_000, 0.005) == FLOOR


def test_many_columns_at_once_alarm_at_once() -> None:
    """A single window alarms when the rule's share of columns moved together, but never for one column."""
    drawn = rows(np.random.default_rng(1), 500)
    moved = {name: drawn[name] + 1 for name in NUMERIC[:4]}
    window = judge_window(reference(), served(drawn | moved))
    found = alarm(Drift(share=0.3), [window])
    assert "4 of 12 columns" in found.reason
    one = judge_window(reference(), served(drawn | {"n0": drawn["n0"] + 1}))
    assert alarm(Drift(share=0.01), [one]) is None
    assert alarm(Drift(), []) is None
