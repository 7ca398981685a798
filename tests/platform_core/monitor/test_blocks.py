"""Where rows of the training set depend on each other, its own blocks say what is usual; elsewhere chance does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.monitor.drift.alarm import alarm
from loopline.platform_core.monitor.drift.block_cuts import DAY
from loopline.platform_core.monitor.drift.block_profile import training_profile
from loopline.platform_core.monitor.drift.blocks import Blocks, span
from loopline.platform_core.monitor.drift.columns import Column
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT, WindowVerdict
from loopline.platform_core.monitor.drift.profile import BLOCKS, Profile
from loopline.platform_core.monitor.drift.threshold import threshold
from loopline.platform_core.monitor.drift.window import judge, judge_table, lasted, merge, profile_window
from loopline.platform_core.specs import Drift

SHOPS, WEEKS, LATER = 80, 63, 75
WEEK = 7 * DAY
COLUMNS = ("price", "stock", "heat", "visits", "kind", "offer", "note", "meaning")


@cache
def panel(shocks: float = 0.7) -> pa.Table:
    """Draw a row a shop and week: prices, stock, weather, offers, notes and vectors move in all shops at once."""
    random = np.random.default_rng(3)
    weeks, size = WEEKS + LATER, SHOPS * (WEEKS + LATER)
    common = np.repeat(random.normal(size=(weeks, 5)) * shocks, SHOPS, axis=0)
    drawn = {name: random.normal(size=size) + common[:, at] for at, name in enumerate(COLUMNS[:3])}
    drawn["heat"] = np.where(random.random(size) < 0.1 + 0.1 * (common[:, 3] > 0.5), np.nan, drawn["heat"])
    offers = random.random(size) < 1 / (1 + np.exp(-common[:, 3]))
    words = np.where(random.random(size) < 1 / (1 + np.exp(-common[:, 4])), "rain all day", "a lot of sun")
    named = random.integers(200, size=(size, 2)).tolist()
    times = np.repeat(np.arange(weeks) * WEEK, SHOPS) * 1_000_000
    return pa.table(
        {
            EVENT_TIME: pa.array(times, pa.timestamp("us", tz="UTC")),
            **drawn,
            "visits": random.normal(size=size),
            "kind": np.tile(random.choice(["city", "mall", "road"], SHOPS), weeks),
            "offer": np.where(offers, "yes", "no"),
            "note": [
                f"from {one} to {two} open {word}" for (one, two), word in zip(named, words.tolist(), strict=True)
            ],
            "meaning": (random.normal(size=(size, 3)) + common[:, :1]).tolist(),
            "score": 1 / (1 + np.exp(-drawn["price"])),
        }
    )


def profiled(table: pa.Table, features: tuple[str, ...] = COLUMNS) -> Profile:
    """Profile as training does."""
    return training_profile(table, features, np.asarray(table.column("score").to_numpy()), Drift())


@cache
def reference(shocks: float = 0.7) -> Profile:
    """Profile the weeks that were learnt from."""
    return profiled(panel(shocks).slice(0, WEEKS * SHOPS))


def windows() -> list[pa.Table]:
    """Cut the later weeks into windows of 500 rows."""
    later = panel().slice(WEEKS * SHOPS)
    return [later.slice(start, 500) for start in range(0, later.num_rows - 499, 500)]


def judged(profile: Profile, window: pa.Table) -> WindowVerdict:
    """Judge a window as the monitor does."""
    rows = window.drop_columns([EVENT_TIME])
    return judge_table(profile, rows, profile_window(profile, rows, lasted(window)))


def alarms(verdicts: list[WindowVerdict]) -> int:
    """Count the windows at which the rule alarms."""
    return sum(alarm(Drift(), verdicts[: end + 1]) is not None for end in range(len(verdicts)))


def test_a_panel_in_which_nothing_new_happens_is_quiet() -> None:
    """Weeks that move all shops at once alarm in every window as if rows were independent, and in none by blocks."""
    as_before = Profile(reference().columns, reference().sample)
    assert alarms([judged(as_before, window) for window in windows()[:6]]) == 6
    assert alarms([judged(reference(), window) for window in windows()]) == 0


def test_what_depends_is_found_in_every_kind() -> None:
    """Numbers, categories, texts, vectors, missing values, score and all together have blocks; the rest has none."""
    assert reference().blocks is not None
    assert set(reference().blocks.measures) >= {"price", "offer", "note", "meaning", "heat/missing", "score", JOINT}
    assert not {"visits", "visits/missing", "kind"} & set(reference().blocks.measures)


def test_a_column_that_does_not_depend_keeps_its_power() -> None:
    """In the same panel the visits, which no week moves, are found at 0.3 deviations, at the same threshold."""
    for window in windows()[:2]:
        moved = window.set_column(4, "visits", pa.array(np.asarray(window["visits"]) + 0.3))
        found = judged(reference(), moved).columns["visits"]
        assert found.drifted
        assert found.threshold == threshold(reference(), "visits", 500)


def test_beyond_any_block_is_told_in_those_terms() -> None:
    """A price far beyond what any weeks of training showed has drifted, and the words say so."""
    window = windows()[0]
    moved = window.set_column(1, "price", pa.array(np.asarray(window["price"]) + 4))
    found = judged(reference(), moved).columns["price"]
    assert found.drifted
    assert "never so in " in found.moved
    assert "of training" in found.moved


def test_independent_rows_are_judged_as_before() -> None:
    """Where weeks move nothing, no measure keeps blocks and each threshold is what chance says."""
    blocks = reference(0.0).blocks
    assert set(blocks.measures) <= {"score"}
    plain = Profile(reference(0.0).columns, reference(0.0).sample)
    window = windows()[0]
    assert judged(reference(0.0), window).columns["price"].threshold == judged(plain, window).columns["price"].threshold


def test_the_order_of_rows_says_nothing_but_their_time() -> None:
    """A training set that comes in any order shows the same dependence; without times the order of its rows does."""
    learnt = panel().slice(0, WEEKS * SHOPS)
    mixed = learnt.take(pa.array(np.random.default_rng(0).permutation(learnt.num_rows)))
    by_rows = profiled(learnt.drop_columns([EVENT_TIME]), ("price", "visits"))
    for profile in (profiled(mixed, ("price", "visits")), by_rows):
        assert "price" in profile.blocks.measures
        assert "visits" not in profile.blocks.measures
    assert {one.by for one in by_rows.blocks.measures["price"]} == {"rows"}


def test_too_little_training_says_so() -> None:
    """Of 300 rows no blocks can be cut: chance decides, and who is woken is told what is not known."""
    few = profiled(panel().slice(0, 300), ("price",))
    assert few.blocks == Blocks(300, 3 * WEEK, {})
    moved = windows()[0].select([EVENT_TIME, "price", "score"])
    moved = moved.set_column(1, "price", pa.array(np.asarray(moved["price"]) + 4))
    assert "training holds only 0 windows of 500 rows" in judged(few, moved).columns["price"].moved


def test_a_team_may_ask_to_hear_of_every_season() -> None:
    """Without blocks in the rule the profile has none, and is judged as of independent rows."""
    learnt = panel().slice(0, WEEKS * SHOPS)
    scores = np.asarray(learnt["score"].to_numpy())
    assert training_profile(learnt, ("price",), scores, Drift(blocks=False)).blocks is None


@pytest.mark.parametrize("entities", [("shop",), ("shop", "sale"), ("shop", "kind"), ("nowhere", "shop")])
def test_a_panel_is_known_by_its_entities_or_the_first_of_them(entities: tuple[str, ...]) -> None:
    """Where the second one names each row anew, shops come back; what the table does not have names nothing."""
    learnt = panel().slice(0, 20 * SHOPS)
    learnt = learnt.append_column("shop", pa.array([number % SHOPS for number in range(20 * SHOPS)]))
    learnt = learnt.append_column("sale", pa.array(range(20 * SHOPS)))
    scores = np.asarray(learnt["score"].to_numpy())
    found = training_profile(learnt, ("visits",), scores, Drift(), entities=entities).blocks.panel
    by = {("shop", "kind"): ["shop", "kind"]}.get(entities, ["shop"])
    assert (found.seconds, found.entities, found.by) == (WEEK, SHOPS, by)
    assert training_profile(learnt, ("visits",), scores, Drift(), entities=("sale",)).blocks.panel is None


def test_few_blocks_make_a_wide_bound() -> None:
    """Ten blocks are held to Student's t: what lies a little beyond the farthest of them has not drifted yet."""
    blocks = reference().blocks
    rows = next(one for one in blocks.measures["price"] if one.by == "rows")
    weeks = next(one for one in blocks.measures["price"] if one.by == "seconds" and one.length == WEEK)
    assert (rows.blocks, weeks.blocks) == (10, 62)
    assert rows.reach(0.004) > 1.5 * rows.highest
    assert weeks.reach(0.004) > weeks.highest


def test_scores_of_rows_that_were_learnt_from_do_not_stop_it() -> None:
    """A model scores the rows at the end only, or none: then its score has blocks of those, or none."""
    learnt = panel().slice(0, WEEKS * SHOPS)
    scores = np.asarray(learnt["score"].to_numpy()).copy()
    scores[: 40 * SHOPS] = np.nan
    found = training_profile(learnt, ("price",), scores, Drift()).blocks
    assert {one.whole for one in found.measures["score"] if one.by == "seconds" and one.length == WEEK} == {22}
    assert training_profile(learnt, ("price",), np.full(len(scores), np.nan), Drift()).blocks is not None


def test_a_package_brings_blocks_back_and_old_ones_have_none(tmp_path) -> None:
    """What was saved is loaded under the same digest; a package without the file is read as ever; it is small."""
    reference().save(tmp_path)
    loaded = Profile.load(tmp_path)
    assert loaded.blocks == reference().blocks
    assert loaded.digest == Profile(reference().columns, reference().sample).digest
    assert (tmp_path / BLOCKS).stat().st_size < 20_000
    (tmp_path / BLOCKS).unlink()
    assert Profile.load(tmp_path).blocks is None


def test_windows_of_a_day_last_as_long_as_their_sum() -> None:
    """Lengths add up where all are known; merged windows are judged by them."""
    window = windows()[0].drop_columns([EVENT_TIME])
    counted = profile_window(reference(), window, 3_600.0)
    assert merge([counted, counted]).seconds == 7_200.0
    assert merge([counted, profile_window(reference(), window)]).seconds is None
    assert judge(reference(), merge([counted, counted])).rows == 1_000


def test_every_kind_measures_its_own_rows_as_it_measures_a_window() -> None:
    """The fast way over sets of rows gives what counting and measuring them gives, but for the edges of numbers."""
    learnt = panel().slice(0, WEEKS * SHOPS)
    rows = np.arange(700, 1_300)
    for name in COLUMNS:
        column, values = reference().columns[name], learnt.column(name)
        fast, slow = column.scorer(values)(rows), Column.scorer(column, values)(rows)
        assert fast[0] == slow[0]
        assert fast[1] == pytest.approx(slow[1], abs=0.01)


def test_spans_are_told_in_units_that_people_use() -> None:
    """The largest unit of which there are two, or exactly one."""
    assert [span(3_600), span(DAY), span(WEEK), span(63 * WEEK), span(36 * 3_600), span(90)] == [
        "1 hour",
        "1 day",
        "1 week",
        "63 weeks",
        "36 hours",
        "90 seconds",
    ]
