"""A model of numbers, live: errors by window, version and segment as labels come, fairness in pounds, and estimates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import narwhals as nw
import numpy as np
import pytest

from loopline.platform_core.foundation.names import realised_table
from loopline.platform_core.loop.rollouts.quality_entries import REALISED
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.quality_figures import is_band
from loopline.platform_core.monitor.quality.quality_verdict import good_enough
from loopline.platform_core.specs import AtMost, Fairness, Quality, Source, labels
from loopline.platform_core.targets import Regression
from tests.platform_core.monitor.conftest import Live, told

ORDERS = Source("orders", contract="contracts/orders.yaml")
START = datetime(2011, 3, 7, tzinfo=UTC)
"""A Monday."""
GBP = Regression("GBP", largest_error=500)


@labels(ORDERS, entities=("order_id",), time="ordered_at", label="spent", known_at="settled_at", segments=("country",))
def spent(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: what its customer spent in the month that followed, and where it went."""
    return rows.select("order_id", "ordered_at", "spent", "settled_at", "country")


@dataclass
class Numbers(Live):
    """A shop whose model says what customers will spend."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def draw(self, count: int, size: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
        """Draw what is said and what comes; it misses by a share of what is said."""
        said = self.random.lognormal(4, 0.5, count)
        return said, said + self.random.normal(0, size, count) * said


@pytest.fixture
def live(shop) -> Numbers:
    """Give a shop whose figures are split by country, week by week."""
    rule = Fairness("country", within=10)
    model = replace(
        shop.model, labels=spent, target=GBP, segments=("country",), quality=Quality(days=7), fairness=(rule,)
    )
    shop.deploy()
    return Numbers(shop, model)


def test_errors_come_with_labels_by_version_segment_and_window(live: Numbers) -> None:
    """Each week and version has its mean errors and their intervals; of the whole life the ledger tells."""
    said, truth = live.draw(400)
    countries = np.where(np.arange(400) < 200, "France", "EIRE")
    live.answer(said, truth, START, countries=countries)
    live.answer(said + 20, truth, START + timedelta(days=8), countries=countries, version="2")
    assert live.measured(START + timedelta(days=10)) == [], "nothing is told of numbers before their labels come"
    found = live.measured(START + timedelta(days=60))
    assert {m.metric for m in found if not is_band(m.segment)} == {"mae", "rmse", "bias"}
    mae, rmse, bias = (told(found, metric)[0] for metric in ("mae", "rmse", "bias"))
    assert (mae.version, mae.since, mae.rows, mae.labelled) == ("1", START, 400, 400)
    assert mae.value == pytest.approx(np.abs(said - truth).mean(), rel=1e-5)
    assert rmse.value == pytest.approx(np.sqrt(((said - truth) ** 2).mean()), rel=1e-5)
    assert bias.low < 0 < bias.high
    assert told(found, "bias")[1].value == pytest.approx(bias.value + 20, rel=1e-4)
    (france,) = [m for m in told(found, "mae", "country=France") if m.version == "1"]
    assert france.value == pytest.approx(np.abs(said - truth)[:200].mean(), rel=1e-5)
    entries = {e.version: e.details for e in live.shop.platform.ledger.entries(live.shop.ref, [REALISED])}
    assert entries["1"]["rmse"] == pytest.approx(rmse.value, rel=1e-5)
    assert entries["1"]["mean"] == pytest.approx(truth.mean())
    verdict = good_enough(live.shop.platform, live.shop.ref, replace(live.model, gates=(AtMost("rmse", 5),)))
    assert not verdict.passed
    assert "realised rmse of version 1, 2011-03-07 to 2011-03-14: " in verdict.reason


def test_predicted_stands_against_real_by_bands_of_like_predictions(live: Numbers) -> None:
    """Ten of as many rows each, from the smallest prediction on; what came is the same but for chance."""
    said, truth = live.draw(1_000)
    live.answer(said, truth * 1.5, START)
    bands = [m for m in live.measured(START + timedelta(days=60)) if is_band(m.segment)]
    readings, labels = ([m for m in bands if m.metric == metric] for metric in ("reading", "label"))
    assert [m.segment for m in readings] == [m.segment for m in labels] == [f"reading {n}/10" for n in range(1, 11)]
    assert {(m.rows, m.labelled, m.estimated) for m in bands} == {(100, 100, False)}
    assert [m.high for m in readings[:-1]] <= [m.low for m in readings[1:]]
    assert sum(real.low < 1.5 * said.value < real.high for said, real in zip(readings, labels, strict=True)) >= 8


def test_a_group_whose_errors_are_larger_is_found_and_equal_ones_are_not(live: Numbers) -> None:
    """The first metric that tells of groups is the mean absolute error: its bound is in pounds."""
    said, truth = live.draw(1_500)
    far, near = np.arange(1_500) < 300, np.arange(1_500) >= 300
    countries, farther = np.where(far, "EIRE", "France"), np.where(near, truth, said + 4 * (truth - said))
    live.answer(said, truth, START, countries=countries)
    live.answer(said, farther, START + timedelta(days=8), countries=countries)
    live.measured(START + timedelta(days=60))
    even, unfair = fairness_verdicts.history(live.shop.platform, live.shop.ref)
    assert (even.metric, even.verdict, even.rows) == ("mae", "fair", 1_500)
    assert (unfair.verdict, unfair.group) == ("unfair", "EIRE")
    assert unfair.low > 10
    assert "mae of country 'EIRE' lies +" in unfair.reason
    assert {group.name: group.rows for group in unfair.groups} == {"EIRE": 300, "France": 1_200}


def test_an_estimate_stands_before_labels_come_and_holds(live: Numbers) -> None:
    """With what its package held out a week is estimated on its first day; no other metric of numbers is."""
    live.hold_out(*live.draw(3_000))
    said, truth = live.draw(1_500)
    chosen = said > 50
    live.answer(said[chosen], truth[chosen], START)
    first = live.measured(START + timedelta(days=1))
    assert {(m.metric, m.estimated, m.labelled) for m in first} == {("mae", True, 0), ("rmse", True, 0)}
    later = live.measured(START + timedelta(days=40))
    for metric in ("mae", "rmse"):
        (guess,), (real,) = told(later, metric, estimated=True), told(later, metric)
        assert guess.low < real.value < guess.high
        assert guess.value == pytest.approx(real.value, rel=0.1)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_one_answer_beyond_all_measure_spoils_no_history(live: Numbers) -> None:
    """Its square has no end, and what has none is left out: a window that nobody can read again would stop all."""
    said, truth = live.draw(200)
    said[7] = 1e200
    live.answer(said, truth, START, countries=np.where(np.arange(200) < 100, "France", "EIRE"))
    found = live.measured(START + timedelta(days=40))
    assert told(found, "rmse") == []
    assert [m.rows for m in told(found, "rmse", "country=EIRE")] == [100]
    assert all(np.isfinite([m.value, m.low, m.high]).all() for m in found)
    (entry,) = live.shop.platform.ledger.entries(live.shop.ref, [REALISED])
    assert entry.details["rmse"] is None
    assert fairness_verdicts.history(live.shop.platform, live.shop.ref) == []


def test_tables_and_looks_of_one_number_have_no_other_column(live: Numbers) -> None:
    """What one number says is in the score alone."""
    live.answer(*live.draw(50), START)
    live.measured(START + timedelta(days=40))
    assert "raw" not in live.shop.platform.lake.read(realised_table("shop", "returns")).column_names
