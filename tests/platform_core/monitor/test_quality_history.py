"""Figures by version, segment and window: realised as labels come, estimated before, kept once and read quickly."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.alarms import standing
from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.foundation.names import DATE, scores_table
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.predictions import compact, expire
from loopline.platform_core.monitor.quality.quality_figures import history
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.monitor.quality.quality_windows import MONDAY
from loopline.platform_core.specs import AtLeast, Fairness, Quality, Source, labels
from tests.platform_core.monitor.conftest import Live, told

ORDERS = Source("orders", contract="contracts/orders.yaml")
START = datetime(2011, 3, 7, tzinfo=UTC)
"""A Monday."""
PARTS = {"segments": ("country",), "quality": Quality(days=7, min_rows=20)}


@labels(
    ORDERS, entities=("order_id",), time="ordered_at", label="returned", known_at="settled_at", segments=("country",)
)
def returned(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: was it returned, when it is settled, and where it went."""
    return rows.select("order_id", "ordered_at", "returned", "settled_at", "country")


@pytest.fixture
def live(shop) -> Live:
    """Give a shop whose figures are split by country, week by week."""
    model = replace(shop.model, labels=returned, **PARTS)
    shop.deploy()
    return Live(shop, model)


def test_figures_follow_labels_by_version_segment_and_window(live: Live) -> None:
    """Each week, version and country has its own figures, with the share of labels that have come."""
    countries = ["France"] * 30 + ["EIRE"] * 30 + ["Malta"] * 5
    live.answer([0.9, 0.2] * 15 + [0.2, 0.9] * 15 + [0.5] * 5, [1.0, 0.0] * 30 + [1.0] * 5, START, countries=countries)
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START + timedelta(days=8), version="2")
    early = live.measured(START + timedelta(days=10))
    assert {m.metric for m in early} == {"positive_rate"}, "what needs no label is known at once"
    assert [(m.rows, m.labelled) for m in told(early, "positive_rate")] == [(65, 0), (40, 0)]
    first = live.measured(START + timedelta(days=31))
    assert [(m.version, m.since, m.until) for m in told(first, "recall")] == [("1", START, START + timedelta(days=7))]
    both = live.measured(START + timedelta(days=60))
    assert [(m.version, m.rows, m.labelled, m.value) for m in told(both, "roc_auc")] == [
        ("1", 65, 65, pytest.approx(0.5, abs=0.05)),
        ("2", 40, 40, 1.0),
    ]
    assert told(both, "recall", "country=France")[0].value == 1.0
    assert told(both, "recall", "country=EIRE")[0].value == 0.0
    assert told(both, "recall", "country=Malta") == [], "five rows are no segment"
    assert all(m.low <= m.value <= m.high for m in both)


def test_labels_that_come_early_wait_for_those_of_the_other_kind(live: Live) -> None:
    """Returns are known after three days, orders that stay after thirty: the young week would be all returns."""
    truth, waits = [1.0, 0.0] * 30, [3, 30] * 30
    live.answer([0.6, 0.4] * 30, truth, START, wait_days=waits)
    live.answer([0.6, 0.4] * 30, truth, START + timedelta(days=28), wait_days=waits)
    found = live.measured(START + timedelta(days=33))
    assert [(m.since, m.value, m.labelled) for m in told(found, "positives")] == [(START, 0.5, 60)]
    later = live.measured(START + timedelta(days=60))
    assert [m.value for m in told(later, "positives")] == [0.5, 0.5]


def test_while_labels_of_one_kind_only_have_come_nothing_is_said(live: Live) -> None:
    """Nobody knows yet how long the others take, unless the team has said so."""
    live.answer([0.6] * 30, [1.0] * 30, START, wait_days=3)
    assert told(live.measured(START + timedelta(days=10)), "recall") == []
    live.model = replace(live.model, quality=replace(live.model.quality, wait_days=5))
    assert [m.value for m in told(live.measured(), "recall")] == [1.0]


def test_a_segment_may_be_a_feature_that_was_served(live: Live) -> None:
    """The value is the one in the log."""
    live.model = replace(live.model, segments=("channel",))
    live.answer([0.9, 0.1] * 15, [1.0, 0.0] * 15, START, features={"channel": "web"})
    live.answer([0.1, 0.9] * 15, [1.0, 0.0] * 15, START, features={"channel": "shop"})
    found = live.measured(START + timedelta(days=40))
    values = {m.segment: m.value for m in found if m.metric == "recall" and m.segment}
    assert values == {"channel=web": 1.0, "channel=shop": 0.0}


def test_a_segment_that_is_nowhere_is_refused(live: Live) -> None:
    """A misspelt one would be an empty table for ever."""
    live.model = replace(live.model, segments=("branch",))
    live.answer([0.9, 0.1] * 15, [1.0, 0.0] * 15, START, features={"channel": "web"})
    with pytest.raises(InvalidSpec, match="'branch', which is neither a segment of the labels nor a feature"):
        live.measured(START + timedelta(days=40))


def test_a_personal_column_is_no_segment(live: Live, mark_personal: Callable[..., None]) -> None:
    """The refusal says why, and what to do instead."""
    mark_personal(live.shop.platform.home, "order_id")
    live.model = replace(live.model, segments=("order_id",))
    with pytest.raises(InvalidSpec, match=r"'order_id', which a contract marks as personal: each person would be") as e:
        measured(live.shop.platform, live.shop.team, live.model)
    assert "age band" in e.value.fix


def test_the_newest_answer_to_an_example_counts(live: Live) -> None:
    """An example that was asked twice is one row; what a shadow said is none."""
    live.answer([0.9] * 20 + [0.1] * 20, [1.0] * 20 + [0.0] * 20, START)
    again = live.row(1, 0.2, START + timedelta(hours=1), "1", {})
    live.shop.serving.log([again, live.row(2, 0.1, START, "1", {}) | {"role": "shadow"}])
    (recall,) = told(live.measured(START + timedelta(days=40)), "recall")
    assert (recall.rows, recall.value) == (40, 19 / 20)


def test_answers_of_batches_count_too(live: Live) -> None:
    """What was scored without a request is measured with the rest."""
    live.answer([0.9] * 20, [1.0] * 20, START)
    live.answer([0.1] * 20, [0.0] * 20, START)
    compact(live.shop.platform, live.shop.team, live.model)
    row = live.row(40, 0.9, START + timedelta(hours=1), "1", {}) | {"role": "batch", "request_id": "batch-1"}
    like = live.shop.platform.lake.read("shop/predictions/returns")
    batch = pa.Table.from_pylist([row | {DATE: START.date()}], schema=like.schema)
    live.shop.platform.lake.append(scores_table("shop", "returns"), batch)
    (precision,) = told(live.measured(START + timedelta(days=40)), "precision")
    assert (precision.rows, precision.value) == (40, pytest.approx(20 / 21, abs=1e-5))


def test_an_estimate_stands_until_labels_come_and_after(live: Live) -> None:
    """With the package's calibration a week is estimated on its first day; the realised figure lies in its interval."""
    random = np.random.default_rng(3)
    chances = random.beta(1, 4, 4_000)
    truth = (random.random(4_000) < chances).astype(float)
    live.hold_out(chances[:2_000], truth[:2_000])
    live.answer(chances[2_000:], truth[2_000:], START)
    first = live.measured(START + timedelta(days=1))
    (guess,) = told(first, "roc_auc", estimated=True)
    assert (guess.rows, guess.labelled) == (2_000, 0)
    later = live.measured(START + timedelta(days=40))
    (real,) = told(later, "roc_auc")
    assert guess.low < real.value < guess.high
    assert abs(guess.value - real.value) < 0.02
    assert len(told(later, "roc_auc", estimated=True)) == 1


def test_the_meaning_of_scores_is_learnt_anew_from_labels_that_come(live: Live) -> None:
    """From one week on scores mean something else; two months later the estimates know, and not by hindsight."""
    random = np.random.default_rng(4)
    held = random.random(2_000)
    live.hold_out(held, (random.random(2_000) < held).astype(float))
    for week in range(10):
        scores = random.random(500)
        live.answer(scores, (random.random(500) < scores / 2).astype(float), START + timedelta(days=7 * week))
    found = live.measured(START + timedelta(days=120))
    guesses, reals = told(found, "positives", estimated=True), told(found, "positives")
    errors = [guess.value - real.value for guess, real in zip(guesses, reals, strict=True)]
    assert min(errors[:5]) > 0.15, "labels take a month: until then nobody knows"
    assert max(map(abs, errors[8:])) < 0.06


def test_a_window_has_one_row_and_is_measured_no_more_once_labels_have_come(live: Live) -> None:
    """Labels take 31 days; 62 days after its end the window is left alone, whatever comes."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    for day in (1, 20, 31, 40, 70):
        live.measured(START + timedelta(days=day))
    platform = live.shop.platform
    assert len(quality_table.rows(platform.ledger, live.shop.ref)) == 1
    live.answer([0.9] * 20, [1.0] * 20, START + timedelta(days=90))
    compact(platform, live.shop.team, live.model)
    platform.clock.set(START + timedelta(days=90))
    assert measured(platform, live.shop.team, live.model).windows == 1, "the new week alone"
    old, new = quality_table.rows(platform.ledger, live.shop.ref)
    assert (old.measured_at, new.measured_at) == (START + timedelta(days=70), START + timedelta(days=90))


def test_a_monitor_that_is_late_leaves_no_gap(live: Live) -> None:
    """Weeks that nobody measured while their labels came are measured however late, whichever version answered."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    live.measured(START + timedelta(days=3))
    for week in range(1, 30):
        live.answer(
            [0.9, 0.1] * 20, [1.0, 0.0] * 20, START + timedelta(days=7 * week), version="2" if week > 9 else "1"
        )
    recalls = told(live.measured(START + timedelta(days=400)), "recall")
    assert sum(m.rows for m in recalls) == 30 * 40, "every answer is in a window"
    assert [m.labelled for m in recalls] == [40] * 30
    assert measured(live.shop.platform, live.shop.team, live.model).windows == 0


def test_answers_that_come_into_a_settled_window_are_measured(live: Live) -> None:
    """A batch of long ago, or a log that was behind: the window is measured anew with them."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    live.measured(START + timedelta(days=300))
    live.answer([0.1] * 40, [1.0] * 40, START + timedelta(days=1))
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START, version="2")
    assert [(m.version, m.rows, m.value) for m in told(live.measured(), "recall")] == [
        ("1", 80, pytest.approx(20 / 60, abs=1e-5)),
        ("2", 40, 1.0),
    ]


def test_answers_whose_labels_never_come_are_an_alarm(live: Live) -> None:
    """It stands while their labels are missing, and is over when they have come."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    week = START + timedelta(days=7)
    live.shop.serving.log([live.row(number, 0.5, week, "1", {}) for number in range(41, 81)])
    live.measured(START + timedelta(days=40))
    assert standing(live.shop.platform.ledger) == [], "they may still come"
    live.measured(START + timedelta(days=120))
    (one,) = standing(live.shop.platform.ledger)
    assert (one.alarm.cause, one.alarm.size) == ("unmeasured:shop/returns", 40.0)
    assert "40 answers in 1 windows from 2011-03-14 to 2011-03-21" in one.alarm.problem
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, week + timedelta(minutes=1))
    live.measured()
    assert standing(live.shop.platform.ledger) == []


def expired(live: Live, now: datetime) -> int:
    """Compact and let expire at a time, as the asset of predictions does."""
    live.shop.platform.clock.set(now)
    compact(live.shop.platform, live.shop.team, live.model)
    return expire(live.shop.platform, live.shop.team, live.model)


def test_what_expires_unmeasured_is_an_alarm(live: Live) -> None:
    """Labels of one kind only say nothing of how long others take: before, such answers expired without a word."""
    live.model = replace(live.model, retention_days=60)
    live.answer([0.9, 0.1] * 20, [0.0] * 40, START, wait_days=1000)
    live.measured(START + timedelta(days=50))
    assert standing(live.shop.platform.ledger) == []
    assert expired(live, START + timedelta(days=70)) == 40
    live.measured()
    (one,) = standing(live.shop.platform.ledger)
    assert (one.alarm.cause, one.alarm.size) == ("unmeasured:shop/returns", 40.0)
    assert "no label of them had come when their predictions expired" in one.alarm.problem
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START + timedelta(days=65), wait_days=3)
    live.measured(START + timedelta(days=100))
    assert len(standing(live.shop.platform.ledger)) == 1, "other windows' labels are not theirs"


def test_a_monitor_that_never_ran_tells_of_what_expired(live: Live) -> None:
    """Answers of which no figure was ever kept: how many there were is written down before they go."""
    live.model = replace(live.model, retention_days=60)
    for week in range(12):
        live.shop.serving.log([live.row(week, 0.5, START + timedelta(days=7 * week), "1", {})])
    shadow = live.row(99, 0.5, START, "1", {}) | {"role": "shadow"}
    live.shop.serving.log([shadow])
    assert expired(live, START + timedelta(days=81)) == 3 + 1, "three weeks and what a shadow said"
    with pytest.raises(NotFound):
        live.measured()
    (one,) = standing(live.shop.platform.ledger)
    assert "3 answers in 3 windows from 2011-03-07 to 2011-03-28" in one.alarm.problem
    assert [(m.rows, m.labelled) for m in history(live.shop.platform, live.shop.ref)] == [(1, 0)] * 3
    assert expired(live, START + timedelta(days=81)) == 0, "nothing is left to expire today"


def test_what_was_measured_expires_in_silence(live: Live) -> None:
    """Its figures stay as they were, and so does the rest of a window of which some days are gone."""
    live.model = replace(live.model, retention_days=60)
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START + timedelta(days=5))
    before = live.measured(START + timedelta(days=50))
    assert expired(live, START + timedelta(days=62)) == 2 * 40, "answers, and labelled ones"
    assert live.measured() == before
    assert standing(live.shop.platform.ledger) == []


def test_what_a_shadow_said_is_no_gap(live: Live) -> None:
    """It is in no window, so it must not be looked for in each call."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    live.shop.serving.log([live.row(1, 0.1, START, "9", {}) | {"role": "shadow"}])
    assert {m.version for m in live.measured(START + timedelta(days=300))} == {"1"}
    assert measured(live.shop.platform, live.shop.team, live.model).windows == 0


def test_a_metric_that_a_gate_asks_for_is_followed(live: Live) -> None:
    """And windows of before are measured anew with it."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    assert told(live.measured(START + timedelta(days=300)), "f1") == []
    live.model = replace(live.model, gates=(AtLeast("f1", 0.5),))
    assert [m.value for m in told(live.measured(), "f1")] == [1.0]
    assert [m.estimated for m in live.measured() if m.metric == "average_precision"] == []


def test_other_rules_measure_everything_anew(live: Live) -> None:
    """Longer windows take the place of those that they overlap; where the lake has lost the rows the old ones stay."""
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START + timedelta(days=70))
    live.measured(START + timedelta(days=120))
    live.shop.platform.lake.drop_days("shop/predictions/returns", (START + timedelta(days=60)).date())
    live.model = replace(live.model, quality=replace(live.model.quality, days=14))
    weeks = [m.until - m.since for m in told(live.measured(), "recall")]
    assert weeks == [timedelta(days=7), timedelta(days=14)]
    assert measured(live.shop.platform, live.shop.team, live.model).windows == 1, "the next call knows the rules"


def test_looks_week_by_week_find_what_one_look_at_everything_finds(live: Live) -> None:
    """Labels come up to eight weeks late, and some examples are answered again, by another version or a week later."""
    random = np.random.default_rng(3)
    held_out = random.uniform(0.05, 0.95, 400)
    live.hold_out(held_out, (random.uniform(size=400) < held_out).astype(float))
    for week in range(14):
        at, version = START + timedelta(days=7 * week), "1" if week < 8 else "2"
        scores = random.uniform(0.05, 0.95, 60)
        live.answer(
            scores.tolist(),
            (random.uniform(size=60) < scores).astype(float).tolist(),
            at,
            wait_days=random.choice([1.0, 20.0, 31.0, 55.0], 60, p=[0.5, 0.3, 0.19, 0.01]).tolist(),
            countries=random.choice(["France", "Spain"], 60).tolist(),
            version=version,
        )
        again = [live.row(live.asked - number, 0.5, at + timedelta(hours=1), version, {}) for number in (0, 3, 70)]
        live.shop.serving.log(again)
        live.measured(at + timedelta(days=2))
    for week in range(14, 30):
        live.measured(START + timedelta(days=7 * week))
    week_by_week = history(live.shop.platform, live.shop.ref)
    assert {m.version for m in week_by_week} == {"1", "2"}
    assert {m.estimated for m in week_by_week} == {True, False}
    quality_table.put(live.shop.platform.ledger, live.shop.ref, [], "other rules")
    assert measured(live.shop.platform, live.shop.team, live.model).windows >= 14
    assert history(live.shop.platform, live.shop.ref) == week_by_week


def test_a_window_keeps_its_figures_while_its_predictions_expire(live: Live) -> None:
    """The last days of a window went badly: they are not all that is told of it when the first ones are gone."""
    live.model = replace(live.model, quality=replace(live.model.quality, days=28), retention_days=70)
    start = MONDAY + 537 * timedelta(days=28)
    for day in range(28):
        scores = [0.9, 0.1] if day < 26 else [0.1, 0.9]
        live.answer(scores * 5, [1.0, 0.0] * 5, start + timedelta(days=day, hours=1))
    figures, gone = [], 0
    for day in (65, 71, 80, 96, 110):
        (recall,) = told(live.measured(start + timedelta(days=day)), "recall")
        figures.append((recall.rows, recall.labelled, recall.value))
        gone += expire(live.shop.platform, live.shop.team, live.model)
    assert gone == 2 * 280, "answers, and those of them that have a label"
    assert figures == [(280, 280, pytest.approx(26 / 28, abs=1e-5))] * 5


def test_what_expires_is_measured_while_it_is_whole(live: Live) -> None:
    """Labels that come when predictions may expire count, as long as none has."""
    live.model = replace(live.model, quality=replace(live.model.quality, wait_days=30), retention_days=20)
    live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, START)
    assert told(live.measured(START + timedelta(days=10)), "recall") == []
    (recall,) = told(live.measured(START + timedelta(days=35)), "recall")
    assert recall.labelled == 40


def test_other_rules_do_not_make_a_remnant_of_a_window(live: Live) -> None:
    """A shorter window of which the lake has the rows does not end a longer one of which it has them no more."""
    live.model = replace(live.model, quality=replace(live.model.quality, days=14), retention_days=60)
    start = MONDAY + 1074 * timedelta(days=14)
    for day in (0, 8):
        live.answer([0.9, 0.1] * 20, [1.0, 0.0] * 20, start + timedelta(days=day))
    live.measured(start + timedelta(days=50))
    live.shop.platform.clock.set(start + timedelta(days=62))
    assert expire(live.shop.platform, live.shop.team, live.model) == 2 * 40
    live.model = replace(live.model, quality=replace(live.model.quality, days=7))
    assert [(m.until - m.since, m.rows) for m in told(live.measured(), "recall")] == [(timedelta(days=14), 80)]


def test_history_of_two_years_is_read_in_milliseconds(live: Live) -> None:
    """Of 104 weeks, five segments and fifteen figures each."""
    random, platform = np.random.default_rng(0), live.shop.platform
    countries = random.choice(["DE", "FR", "UK", "IT", "ES"], 400).tolist()
    live.hold_out(np.array([0.3, 0.6] * 50), np.array([0.0, 1.0] * 50))
    live.answer(random.random(400), (random.random(400) < 0.3).astype(float), START, countries=countries)
    live.model = replace(live.model, fairness=(Fairness("country", "recall"), Fairness("country", "positive_rate")))
    live.measured(START + timedelta(days=40))
    (row,) = quality_table.rows(platform.ledger, live.shop.ref)
    weeks = [timedelta(days=7 * week) for week in range(1, 104)]
    copies = [replace(row, since=row.since + week, until=row.until + week) for week in weeks]
    quality_table.put(platform.ledger, live.shop.ref, copies, row.spec)
    assert _best(lambda: history(platform, live.shop.ref)) < 0.06
    assert _best(lambda: fairness_verdicts.history(platform, live.shop.ref)) < 0.06
    assert len(history(platform, live.shop.ref)) == 104 * 6 * 15


def _best(call: Callable[[], object]) -> float:
    """Return the least seconds of this process: other people's tests run beside this one."""
    seconds = []
    for _ in range(5):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    return min(seconds)
