"""A rollout that bakes is judged by the labels that come meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import realised as labels
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.specs import Drift, RealisedQuality, Rollout
from loopline.platform_core.turn import start_rollout

RULE = Rollout((50, 100), bake_minutes=60, min_requests=100, judges=(RealisedQuality(0.05),))


@pytest.fixture
def candidate(shop):
    """Let version 1 answer, and version 2 half of it; gives the rollout, and the model with its rule."""
    shop.platform.clock.set(shop.start)
    shop.deploy("1").joinpath("manifest.json").write_text("{}")
    deployments.reapply(shop.platform)
    package = shop.platform.home / "built"
    package.mkdir()
    package.joinpath("manifest.json").write_text("{}")
    version = shop.platform.registry.publish(Publication(shop.ref.dotted, package, None, None)).version
    cycle = cycles.open_cycle(shop.platform.ledger, shop.ref, Drift(), "test", "test", shop.start, force=True)
    gates.record_verdict(shop.platform.ledger, shop.ref, cycle.cycle_id, version, Verdict(()), shop.start)
    model = replace(shop.model, rollout=RULE)
    return start_rollout(shop.platform, shop.ref, model, version, cycle.cycle_id, shop.start), model


@pytest.mark.parametrize(("scores", "action"), [([0.1, 0.9], "roll_back"), ([0.9, 0.1], "advance")])
def test_labels_tell_whether_the_candidate_goes_on(shop, candidate, scores, action):
    """One that ranks the wrong way round is taken back when the labels have come, one that is right goes on."""
    record, model = candidate
    assert (record.version, record.percent) == ("2", 50)
    for _ in range(100):
        shop.answer_scores([0.9, 0.1], version="1")
        shop.answer_scores(scores, version="2")
    now = shop.start + timedelta(minutes=61)
    early = rollouts.decide(shop.platform, model, record, now)
    assert early.findings[0].detail == "0 labels of one of both"
    shop.settle([1, 0] * 200, settled_at=shop.start)
    compact(shop.platform, shop.team, model)
    measured(shop.platform, shop.team, model)
    decision = rollouts.step(shop.platform, model, record.rollout_id, now)
    assert decision.action == action
    assert decision.figures["candidate"]["labels"] >= 198  # those answered while both did
    assert decision.findings[0].judge == "RealisedQuality(roc_auc)"


@pytest.mark.parametrize(("scores", "action"), [([0.1, 0.9], "roll_back"), ([0.9, 0.1], "promote")])
def test_at_all_percent_labels_are_compared_on_the_same_rows(shop, candidate, scores, action):
    """The stable version answers nobody; what it makes of the candidate's requests has the same labels."""
    record, model = candidate
    model = replace(model, rollout=replace(RULE, percents=(50,)))
    shop.answer_scores(scores * 100, version="2")
    again = {"version": "1", "role": "shadow"}
    rows = [row | again for row in shop.serving._log[shop.ref.dotted]]
    shop.serving.log([row | {"score": (0.9, 0.1)[number % 2]} for number, row in enumerate(rows)])
    shop.settle([1, 0] * 100, settled_at=shop.start)
    compact(shop.platform, shop.team, model)
    measured(shop.platform, shop.team, model)
    now = shop.start + timedelta(minutes=61)
    decision = rollouts.decide(shop.platform, model, record, now)
    assert (decision.action, decision.findings[0].detail) == (action, "200 labels of both")


def test_what_one_side_answered_in_another_week_is_left_out(shop, candidate):
    """Labels of the week before, when only the stable version answered, say nothing of the candidate."""
    shop.answer_scores([0.9, 0.1] * 100, version="1")
    shop.answer_scores([0.2, 0.8] * 100, version="2")
    for number, row in enumerate(shop.serving._log[shop.ref.dotted]):
        row["logged_at"] = shop.start + timedelta(minutes=number)
    shop.settle([1, 0] * 200, settled_at=shop.start)
    compact(shop.platform, shop.team, shop.model)
    measured(shop.platform, shop.team, shop.model)
    found = labels.of(shop.platform.lake, shop.ref, ("2", "1"), shop.start)
    assert (len(found.candidate), len(found.stable), len(found.labels)) == (0, 0, 0)
