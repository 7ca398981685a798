"""A day is the sum of its hours: counts add up exactly, and a day is judged without its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import wasserstein_distance

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.monitor.drift import days
from loopline.platform_core.monitor.drift.days import DAY, Counted, counted_windows, judged_days, keep, over
from loopline.platform_core.monitor.drift.drift import watch
from loopline.platform_core.monitor.drift.drift_windows import judged
from loopline.platform_core.monitor.drift.profile import Profile, build_profile
from loopline.platform_core.monitor.drift.window import WindowProfile, judge, merge, profile_window
from loopline.platform_core.monitor.quality.predictions import compact, expire

WORDS = ["late", "broken", "thanks", "again", "parcel", "never", "came"]


def rows(random: np.random.Generator, count: int, shift: float = 0.0) -> pa.Table:
    """Draw columns of every kind, with missing values, atoms and a heavy tail."""
    heavy = random.pareto(2.5, count) + shift
    names = random.choice([f"c{n}" for n in range(80)], count)
    texts = [" ".join(random.choice(WORDS, 5)) + f" {n}" for n in random.integers(10_000, size=count)]
    return pa.table(
        {
            "heavy": np.where(random.random(count) < 0.1, np.nan, heavy),
            "count": random.poisson(3 + shift, count).astype(float),
            "name": names.tolist(),
            "text": texts,
            "vector": (random.normal(size=(count, 8)) + shift).tolist(),
            "score": random.random(count),
        }
    )


@pytest.fixture(scope="module")
def profile() -> Profile:
    """Profile 5,000 rows."""
    table = rows(np.random.default_rng(0), 5_000).drop_columns("score")
    return build_profile(table, table.column_names, np.random.default_rng(1).random(5_000))


def test_a_day_is_the_sum_of_its_hours(profile: Profile) -> None:
    """Hours of any sizes add up to what one window of all their rows counts, and to the same scores and thresholds."""
    random = np.random.default_rng(12)
    hours = [rows(random, int(size), 0.2) for size in [1, *random.integers(0, 400, 10)]]
    merged = merge([profile_window(profile, hour) for hour in hours])
    whole = profile_window(profile, pa.concat_tables(hours))
    assert merged.rows == whole.rows == sum(map(len, hours))
    for name in ("heavy", "count", "score"):
        one, other = merged.columns[name], whole.columns[name]
        assert (one.at, one.below, one.rows, one.total) == (other.at, other.below, other.rows, other.total)
    assert (merged.columns["name"].counts, merged.columns["name"].unseen) == (
        whole.columns["name"].counts,
        whole.columns["name"].unseen,
    )
    assert merged.columns["text"].buckets == whole.columns["text"].buckets
    first, second = judge(profile, merged), judge(profile, whole)
    for name, verdict in first.columns.items():
        assert verdict.score == pytest.approx(second.columns[name].score, abs=1e-9)
        assert verdict.threshold == second.columns[name].threshold
        assert verdict.drifted == second.columns[name].drifted


def test_order_and_grouping_do_not_matter(profile: Profile) -> None:
    """Hours merged one by one, or as halves of a day, give the same counts."""
    hours = [profile_window(profile, rows(np.random.default_rng(n), 50)) for n in range(6)]
    halves = merge([merge(hours[3:]), merge(hours[:3])])
    together = merge(hours)
    for name in ("heavy", "count"):
        assert halves.columns[name].at == together.columns[name].at
        assert halves.columns[name].sums == pytest.approx(together.columns[name].sums)


@pytest.mark.parametrize("seed", range(6))
def test_a_merged_day_measures_as_its_rows_would(seed: int) -> None:
    """The distance of a merged day lies within 0.001 of SciPy's over all rows: by its grid, not by merging."""
    random = np.random.default_rng(seed)
    shapes = [lambda n: random.normal(size=n), lambda n: random.lognormal(0, 1, n), lambda n: random.pareto(3, n)]
    shape = shapes[seed % 3]
    reference = shape(20_000)
    profile = build_profile(pa.table({"x": reference}), ["x"], np.ones(20_000))
    hours = [shape(200) + (seed % 4) * 0.1 * reference.std() for _ in range(24)]
    windows = [profile_window(profile, pa.table({"x": hour, "score": np.ones(200)})) for hour in hours]
    expected = wasserstein_distance(reference, np.concatenate(hours)) / reference.std()
    assert judge(profile, merge(windows)).columns["x"].score == pytest.approx(expected, abs=0.001)


def test_windows_of_different_references_do_not_add_up(profile: Profile) -> None:
    """Counts on different grids are refused, and so is nothing."""
    window = profile_window(profile, rows(np.random.default_rng(0), 10))
    with pytest.raises(ContractBroken, match="do not add up"):
        merge([window, WindowProfile("other", 10, window.columns)])
    with pytest.raises(ContractBroken):
        merge([])


def look(shop) -> None:
    """Compact and watch."""
    compact(shop.platform, shop.team, shop.model)
    return watch(shop.platform, shop.team, shop.model)


def test_a_day_is_judged_once_a_later_one_begins(shop) -> None:
    """Windows of a day leave one entry with all their rows, once a window of the next day is there, and only then."""
    shop.deploy()
    shop.answer(1_500)
    look(shop)
    assert judged_days(shop.platform, shop.ref, "1") == []
    shop.answered += 86_400
    shop.answer(500)
    look(shop)
    look(shop)
    (day,) = judged_days(shop.platform, shop.ref, "1")
    assert (day.day, day.windows, day.verdict.rows) == (date(2011, 3, 1), 3, 1_500)
    assert set(day.verdict.columns) == {"amount", "country", "score"}
    (entry,) = shop.platform.ledger.entries(shop.ref, [DAY])
    assert entry.reason == "2011-03-01: quiet"


def test_days_can_be_judged_when_their_rows_are_gone(shop) -> None:
    """The counts outlive the rows: any stretch of windows is judged again, as one."""
    package = shop.deploy()
    shop.answer(1_000, factor=1.6)
    look(shop)
    shop.platform.clock.set(datetime(2012, 1, 1, tzinfo=UTC))
    assert expire(shop.platform, shop.team, replace(shop.model, retention_days=30)) == 1_000
    profile = Profile.load(package)
    windows = counted_windows(shop.platform, shop.ref, "1", date(2011, 3, 1), date(2011, 3, 31))
    found = over(windows, profile)
    assert (found.rows, found.drifted) == (1_000, ("amount",))
    assert over([], profile) is None
    assert over(counted_windows(shop.platform, shop.ref, "1", date(2012, 3, 1), date(2012, 3, 1)), profile) is None


def test_a_slow_drift_alarms_by_the_day(shop) -> None:
    """What hides in small windows shows in days of them, under the same rule, and the reason says so."""
    shop.deploy()
    for _ in range(3):
        shop.answer(3_000, factor=1.15)
        found = look(shop)
        shop.answered += 86_400
    days = judged_days(shop.platform, shop.ref, "1")
    assert [day.verdict.drifted for day in days] == [("amount",)] * 2
    assert found.alarm.reason.startswith("by day: drifted in 2 of 3 windows (2011-03-01 to 2011-03-02): amount 0.1")


def test_days_of_one_window_are_never_read(shop, monkeypatch) -> None:
    """A model with a window a day reads no counts, however many days have passed."""
    shop.deploy()
    read = reads(monkeypatch)
    for day in range(5):
        shop.answered = day * 86_400
        shop.answer(500)
        look(shop)
    assert len(judged(shop.platform, shop.ref, "1")) == 5
    assert read == []


def test_days_are_read_one_at_a_time_and_once(shop, monkeypatch) -> None:
    """After a first day of one window, each day that is over is read by itself, and what was judged never again."""
    shop.deploy()
    shop.answer(500)
    read = reads(monkeypatch)
    for day in (1, 2, 3):
        shop.answered = day * 86_400
        shop.answer(1_000)
        look(shop)
        look(shop)
    assert [day.day.day for day in judged_days(shop.platform, shop.ref, "1")] == [2, 3]
    assert read == [(date(2011, 3, 2), date(2011, 3, 2)), (date(2011, 3, 3), date(2011, 3, 3))]


def reads(monkeypatch) -> list[tuple[date, date]]:
    """Return the stretches of days whose counts are read from now on."""
    found = []

    def noted(platform, ref, version, since, until):
        found.append((since, until))
        return counted_windows(platform, ref, version, since, until)

    monkeypatch.setattr(days, "counted_windows", noted)
    return found


def test_counts_of_a_window_that_the_ledger_does_not_know_are_left_out(shop) -> None:
    """A monitor that died between the counts and the ledger leaves counts that no day holds."""
    shop.deploy()
    shop.answer(1_000)
    look(shop)
    windows = counted_windows(shop.platform, shop.ref, "1", date(2011, 3, 1), date(2011, 3, 1))
    stray = Counted(2, windows[0].until, windows[0].profile)
    keep(shop.platform, shop.ref, "1", [stray, windows[0]])
    shop.answered += 86_400
    shop.answer(500)
    look(shop)
    (day,) = judged_days(shop.platform, shop.ref, "1")
    assert day.verdict.rows == 1_000
