"""``loopline performance``: figures that were measured, estimated beside realised, and the verdicts on groups."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.fairness_verdicts import Group, Judged
from loopline.platform_core.platform import Platform

REF = ModelRef("corner", "returns")


@pytest.fixture
def measured(world):
    """Let two weeks have been measured: of the second no label has come."""
    world.later(0)
    platform, week = Platform.open(), timedelta(days=7)
    even = ("roc_auc", "", 0.7, 0.65, 0.75, 800, 800, False)
    guess = ("roc_auc", "", 0.71, 0.66, 0.76, 800, 800, True)
    part = ("roc_auc", "country=DE", 0.6, 0.5, 0.7, 300, 300, False)
    groups = [Group("DE", 0.4, 0.3, 0.5, 60), Group("FR", 0.7, 0.6, 0.8, 90)]
    judged = Judged("country", "recall", 0.1, "unfair", "DE", -0.2, -0.3, -0.12, 150, groups)
    for number, kept, verdicts in ((0, [even, guess, part], [judged]), (1, [(*guess[:6], 0, True)], [])):
        start = world.now + number * week
        told = msgspec.json.encode(kept).decode()
        row = quality_table.Row("1", start, start + week, start, "", told, fairness_verdicts.encode(verdicts))
        quality_table.put(platform.ledger, REF, [row], "")
    platform.close()
    return world


def test_estimated_stands_beside_realised(measured):
    """A line a window and version, with the share of labels that have come; then the verdicts on groups."""
    first, second = measured.run("performance", "returns").stdout.split("2011-03-01")[1:3]
    assert first.split()[:7] == ["2011-03-08", "1", "all", "rows", "800", "100%", "0.710"]
    assert "[0.660, 0.760]" in first
    assert "0.700 [0.650, 0.750]" in first
    text = measured.run("performance", "returns").stdout
    (early,) = [line for line in text.splitlines() if line.startswith("2011-03-08")]
    assert early.split()[2:] == ["1", "all", "rows", "800", "0%", "0.710", "[0.660,", "0.760]", "-"]
    assert "-0.200 [-0.300, -0.120]" in second
    assert "unfair" in second
    assert "DE 0.40, FR 0.70" in second


def test_segments_and_other_metrics_are_shown_when_asked_for(measured):
    """By default all rows alone; programs get every field as one object."""
    assert "country=DE" not in measured.run("performance", "returns").stdout
    assert "country=DE" in measured.run("performance", "returns", "--segments").stdout
    assert measured.json("performance", "returns", "--metric", "recall")["figures"] == []
    said = measured.json("performance", "returns", "--limit", "1")
    assert [(f["metric"], f["estimated"], f["labelled"]) for f in said["figures"]] == [("roc_auc", True, 0)]
    (judged,) = measured.json("performance", "returns")["fairness"]
    assert (judged["verdict"], judged["group"], judged["gap"]) == ("unfair", "DE", -0.2)
    assert judged["groups"][0] == {"name": "DE", "value": 0.4, "low": 0.3, "high": 0.5, "rows": 60}


def test_versions_stand_in_the_order_in_which_they_were_made(world):
    """Version 10 comes after version 2, among the figures and among the verdicts; before any it is said."""
    assert "nothing of corner/returns was measured yet" in world.run("performance", "returns").stdout
    world.later(0)
    even = ("roc_auc", "", 0.7, 0.65, 0.75, 800, 800, False)
    judged = Judged("country", "recall", 0.1, "fair", "DE", 0.0, -0.05, 0.05, 150, [])
    told = msgspec.json.encode([even]).decode()
    platform, end = Platform.open(), world.now + timedelta(days=7)
    for version in ("10", "2"):
        row = quality_table.Row(version, world.now, end, end, "", told, fairness_verdicts.encode([judged]))
        quality_table.put(platform.ledger, REF, [row], "")
    platform.close()
    lines = [line.split() for line in world.run("performance", "returns").stdout.splitlines()]
    assert [line[2] for line in lines if line and line[0] == "2011-03-01"] == ["2", "10", "2", "10"]
