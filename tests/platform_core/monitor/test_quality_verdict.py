"""The live version is warned of when it is proven to be worse than its gates asked, or unfair."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.fairness_verdicts import Judged
from loopline.platform_core.monitor.quality.quality_verdict import fair_enough, good_enough, newest
from loopline.platform_core.specs import AtLeast

START, WEEK = datetime(2011, 3, 7, tzinfo=UTC), timedelta(days=7)


def put(shop, number: int, *kept: tuple, judged: tuple[Judged, ...] = (), version: str = "1") -> None:
    """Keep a week as if it had been measured."""
    start = START + number * WEEK
    told = msgspec.json.encode(kept).decode()
    row = quality_table.Row(version, start, start + WEEK, start, "", told, fairness_verdicts.encode(judged))
    quality_table.put(shop.platform.ledger, shop.ref, [row], "")


def area(value: float, *, estimated: bool = False, segment: str = "") -> tuple:
    """Make an area under the curve that is known to 0.05."""
    return ("roc_auc", segment, value, value - 0.05, value + 0.05, 500, 0 if estimated else 400, estimated)


@pytest.fixture
def gated(shop):
    """Give the shop a live version that must reach 0.65."""
    shop.deploy()
    shop.model = replace(shop.model, gates=(AtLeast("roc_auc", 0.65),))
    return shop


def test_nothing_is_known_yet(gated) -> None:
    """Before the first window there is nothing to warn of."""
    assert good_enough(gated.platform, gated.ref, gated.model) == (True, "nothing is known yet")
    assert fair_enough(gated.platform, gated.ref) == (True, "nothing is known yet")


def test_only_what_is_proven_warns(gated) -> None:
    """0.62 may be 0.67; 0.58 may not be 0.65. The newest window counts, of all rows, of the live version."""
    put(gated, 0, area(0.55))
    put(gated, 1, area(0.62), area(0.4, segment="country=Malta"))
    put(gated, 2, area(0.5), version="2")
    assert good_enough(gated.platform, gated.ref, gated.model).passed
    put(gated, 3, area(0.58))
    finding = good_enough(gated.platform, gated.ref, gated.model)
    assert not finding.passed
    assert finding.reason == (
        "realised roc_auc of version 1, 2011-03-28 to 2011-04-04: 0.580 (0.530 to 0.630, 400 labels of 500 rows), "
        "0.65 is asked for"
    )


def test_an_estimate_warns_before_labels_come(gated) -> None:
    """Both are looked at, and the reason says which it is."""
    put(gated, 0, area(0.7), area(0.7, estimated=True))
    put(gated, 1, area(0.5, estimated=True))
    finding = good_enough(gated.platform, gated.ref, gated.model)
    assert not finding.passed
    assert finding.reason.startswith("estimated roc_auc of version 1, 2011-03-14 to 2011-03-21: 0.500")


def test_an_unfair_window_warns_until_a_newer_one_is_not(gated) -> None:
    """Of each rule the newest verdict counts."""
    unfair = Judged("country", "recall", 0.1, "unfair", "UK", -0.3, -0.4, -0.15, 900, [])
    put(gated, 0, judged=(unfair, msgspec.structs.replace(unfair, metric="positive_rate", verdict="fair")))
    finding = fair_enough(gated.platform, gated.ref)
    assert not finding.passed
    assert "recall of country 'UK' lies -0.300 (-0.400 to -0.150) from the whole's, 0.1 is allowed" in finding.reason
    put(gated, 1, judged=(msgspec.structs.replace(unfair, verdict="open"),))
    assert fair_enough(gated.platform, gated.ref).passed


def test_the_newest_figures_can_be_drawn(gated) -> None:
    """Dagster draws numbers of materializations over time: estimated, realised, and the share of labels."""
    assert newest(gated.platform, gated.ref) == {}
    put(gated, 0, area(0.7), area(0.71, estimated=True))
    put(gated, 1, area(0.69, estimated=True), area(0.3, segment="country=Malta"))
    assert newest(gated.platform, gated.ref) == {
        "roc_auc_estimated": 0.69,
        "roc_auc_realised": 0.7,
        "labelled_share": 0.8,
    }
