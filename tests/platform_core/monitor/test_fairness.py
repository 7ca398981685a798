"""Groups are held against the whole: what is proven warns, what chance makes does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.fairness import judge
from loopline.platform_core.monitor.quality.fairness_verdicts import Judged
from loopline.platform_core.monitor.quality.outcomes import Outcomes
from loopline.platform_core.specs import Fairness
from loopline.platform_core.targets import Binary, Regression

SIZES = {"DE": 0.5, "FR": 0.3, "UK": 0.15, "EIRE": 0.05}
START = datetime(2011, 3, 7, tzinfo=UTC)


def window(random: np.random.Generator, rows: int, recalls: dict[str, float], positives: float = 0.3) -> Outcomes:
    """Draw a window in which each country has a recall of its own; one in five negatives is flagged."""
    countries = random.choice(list(SIZES), rows, p=list(SIZES.values())).astype(object)
    labels = (random.random(rows) < positives).astype(float)
    caught = np.array([recalls[country] for country in countries])
    flagged = random.random(rows) < np.where(labels > 0, caught, 0.2)
    return Outcomes(np.zeros(rows, np.int64), np.where(flagged, 0.9, 0.1), labels, {"country": countries})


def judged(rule: Fairness, rows: Outcomes) -> Judged:
    """Judge a window that has enough rows."""
    found = judge(rule, rows, Binary())
    assert found is not None
    return found


def test_equal_groups_never_alarm() -> None:
    """In 200 windows of 1,500 rows, 22 positives in the smallest country, no gap is proven."""
    random, rule = np.random.default_rng(1), Fairness("country", "recall", within=0.1, min_rows=20)
    verdicts = [judged(rule, window(random, 1_500, dict.fromkeys(SIZES, 0.7))).verdict for _ in range(200)]
    assert verdicts.count("unfair") == 0


def test_a_gap_at_the_bound_alarms_in_one_of_a_hundred_windows_at_most() -> None:
    """One country's recall lies exactly as far from the whole as is allowed."""
    random, rule = np.random.default_rng(2), Fairness("country", "recall", within=0.1, min_rows=20)
    others = 0.7
    least = others - 0.1 / (1 - SIZES["UK"])  # then the whole is 0.1 above it
    recalls = {**dict.fromkeys(SIZES, others), "UK": least}
    verdicts = [judged(rule, window(random, 3_000, recalls)).verdict for _ in range(1_000)]
    assert verdicts.count("unfair") <= 20


def test_a_wide_gap_is_found() -> None:
    """A country whose recall is 0.3 lower is found in nearly every window of 3,000 rows, and named."""
    random, rule = np.random.default_rng(3), Fairness("country", "recall", within=0.1, min_rows=20)
    found = [judged(rule, window(random, 3_000, {**dict.fromkeys(SIZES, 0.8), "UK": 0.45})) for _ in range(100)]
    assert sum(one.verdict == "unfair" and one.group == "UK" for one in found) > 95
    assert all(one.high < -0.1 for one in found if one.verdict == "unfair")


def test_enough_rows_prove_that_it_is_fair() -> None:
    """With many rows every gap is known to be within; with few the question stays open."""
    random, rule = np.random.default_rng(4), Fairness("country", "recall", within=0.15, min_rows=20)
    even = dict.fromkeys(SIZES, 0.7)
    assert judged(rule, window(random, 20_000, even)).verdict == "fair"
    assert judged(rule, window(random, 600, even)).verdict == "open"


@pytest.mark.parametrize(
    ("metric", "of_fr", "gaps"),
    [
        ("recall", 1.0, {"FR": 0.5, "DE": -0.5}),
        ("positive_rate", 0.75, {"FR": 0.25, "DE": -0.25}),
        ("precision", 2 / 3, {"FR": 1 / 6, "DE": -0.5}),
        ("false_positive_rate", 0.5, {"FR": 0.0, "DE": 0.0}),
    ],
)
def test_metrics_of_groups(metric: str, of_fr: float, gaps: dict[str, float]) -> None:
    """Recall is equal opportunity, positive rate demographic parity: the gap is a group's figure less the whole's."""
    labels = np.array([1, 1, 0, 0] * 2 * 50, dtype=float)
    scores = np.array([0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.1] * 50)
    countries = np.array((["FR"] * 4 + ["DE"] * 4) * 50, dtype=object)
    found = judged(
        Fairness("country", metric, min_rows=20),
        Outcomes(np.zeros(400, np.int64), scores, labels, {"country": countries}),
    )
    assert [group.value for group in found.groups if group.name == "FR"] == [pytest.approx(of_fr)]
    assert found.gap == pytest.approx(gaps[found.group])
    assert found.low <= found.gap <= found.high


def test_small_groups_are_not_judged() -> None:
    """A country with fewer rows than asked for is part of the whole alone; one country leaves nothing to compare."""
    random = np.random.default_rng(5)
    rows = window(random, 400, dict.fromkeys(SIZES, 0.7))
    assert {group.name for group in judged(Fairness("country", min_rows=40), rows).groups} == {"DE", "FR", "UK"}
    assert judge(Fairness("country", min_rows=180), rows, Binary()) is None


def test_rows_without_a_label_count_only_where_none_is_needed() -> None:
    """Demographic parity is known at once."""
    rows = window(np.random.default_rng(6), 2_000, dict.fromkeys(SIZES, 0.7))
    rows = Outcomes(rows.event_us, rows.raw, np.full(2_000, np.nan), rows.groups)
    assert judge(Fairness("country", "recall"), rows, Binary()) is None
    assert judged(Fairness("country", "positive_rate"), rows).rows == 2_000


def test_history_tells_every_window_as_it_was_judged_last(shop) -> None:
    """Of one window the newest verdict counts."""
    rule = Fairness("country", "recall", within=0.1, min_rows=20)
    random, week = np.random.default_rng(7), timedelta(days=7)
    for start, low in ((START, 0.7), (START, 0.3), (START + week, 0.7)):
        found = judged(rule, window(random, 3_000, {**dict.fromkeys(SIZES, 0.8), "UK": low}))
        row = quality_table.Row("1", start, start + week, start, "", "[]", fairness_verdicts.encode([found]))
        quality_table.put(shop.platform.ledger, shop.ref, [row], "")
    first, second = fairness_verdicts.history(shop.platform, shop.ref)
    assert (first.since, first.verdict, first.group) == (START, "unfair", "UK")
    assert "recall of country 'UK' lies -0." in first.reason
    assert second.since == START + week


def errors(random: np.random.Generator, rows: int, sizes: dict[str, float]) -> Outcomes:
    """Draw a window of numbers, in which each country's errors have a mean size of their own and a long tail."""
    countries = random.choice(list(SIZES), rows, p=list(SIZES.values())).astype(object)
    missed = random.exponential(1, rows) * np.array([sizes[country] for country in countries])
    return Outcomes(np.zeros(rows, np.int64), missed, np.zeros(rows), {"country": countries})


def test_means_of_groups_are_told_apart_as_shares_are() -> None:
    """At the bound one of a hundred windows alarms at most; twice as far away nearly every one, and it is named."""
    random, rule = np.random.default_rng(8), Fairness("country", "mae", within=10)
    beyond = 10 / (1 - SIZES["UK"])  # then the whole is 10 below it
    alarms = {}
    for gap, windows in ((0, 50), (beyond, 100), (3 * beyond, 40)):
        sizes = {**dict.fromkeys(SIZES, 50.0), "UK": 50 + gap}
        found = [judge(rule, errors(random, 2_000, sizes), Regression("GBP")) for _ in range(windows)]
        alarms[gap] = sum(one.verdict == "unfair" and one.group == "UK" for one in found if one)
        assert all(one.low <= one.gap <= one.high for one in found if one)
    assert alarms[0] == 0
    assert alarms[beyond] <= 4
    assert alarms[3 * beyond] > 30


def test_a_group_in_which_nothing_was_missed_is_not_sure_of_itself() -> None:
    """Thirty rows without an error, where one in twenty is large: what is rare may be missing in so few."""
    random = np.random.default_rng(9)
    countries = np.where(np.arange(1_000) < 30, "EIRE", "DE").astype(object)
    missed = np.where(random.random(1_000) < 0.05, 100.0, 0.0) * (countries == "DE")
    rows = Outcomes(np.zeros(1_000, np.int64), missed, np.zeros(1_000), {"country": countries})
    found = judge(Fairness("country", within=2), rows, Regression())
    assert found.verdict == "open"
