"""After its promotion a version is watched: the one before goes on as a shadow, and proven harm takes it back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from loopline.platform_core.loop import freezes, history
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import quality_table, rollback, rollouts
from loopline.platform_core.specs import ErrorRate, EstimatedQuality, Rollout, ScoreShift
from loopline.platform_core.turn import start_rollout

JUDGES = (ErrorRate(0.05), ScoreShift(0.5), EstimatedQuality(at_least=0.6))
RULE = Rollout(percents=(20,), bake_minutes=10, min_requests=50, judges=JUDGES, watch_hours=24)


def asked(loop, count=300, off=0.0, seed=0):
    """Ask; both versions score a request alike but for noise, and version 2's lie ``off`` higher."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        score = float(random.beta(8, 10))
        loop.asked += 1
        scores = {"1": score, "2": float(np.clip(score + random.normal(off, 0.02), 0, 1)), "3": score}
        loop.serving.answer("retail.cancellations", f"customer {loop.asked}", scores)


@pytest.fixture
def promoted(sqlite_loop):
    """Promote version 2 in the place of version 1; gives its rollout."""
    loop = sqlite_loop
    loop.rule = RULE
    assert loop.roll_out("first").state == "promoted"  # there was no version before it
    loop.later(60)
    record = loop.roll_out("second")
    asked(loop)
    loop.later(10)
    assert loop.step(record).action == "promote"
    return rollouts.rollout(loop.ledger, record.rollout_id)


def kinds(loop, ref):
    """Return what the ledger says of the rollouts of version 2."""
    return [e.kind for e in loop.ledger.entries(ref) if e.kind.startswith("rollout.") and e.version == "2"]


def live(loop, ref):
    """Return the versions that answer, and that is in shadow."""
    now = deployments.deployment(loop.ledger, ref)
    return now.stable.version, now.shadow.version if now.shadow else None


def test_the_version_before_goes_on_as_a_shadow(sqlite_loop, ref, promoted):
    """Its cycle is closed, the endpoint replays what it answers, and nothing else is under way."""
    assert (promoted.state, promoted.where) == ("watching", "watched since its promotion")
    assert live(sqlite_loop, ref) == ("2", "1")
    assert cycles.cycle(sqlite_loop.ledger, promoted.cycle).state == "promoted"
    assert (rollouts.running(sqlite_loop.ledger, ref), rollouts.watched(sqlite_loop.ledger, ref)) == (None, promoted)
    assert sqlite_loop.serving._states[ref.dotted].paired
    asked(sqlite_loop)
    decision = sqlite_loop.step(promoted)
    assert (decision.action, decision.reason) == ("wait", "watched until 2011-03-02 13:10:00 UTC")
    assert "rows scored by both" in decision.findings[1].detail


def test_when_the_time_is_over_it_stays(sqlite_loop, ref, promoted):
    """The shadow goes, the history tells that nothing was proven, and asking again changes nothing."""
    asked(sqlite_loop)
    sqlite_loop.later(24 * 60)
    assert sqlite_loop.step(promoted).action == "end_watch"
    assert live(sqlite_loop, ref) == ("2", None)
    assert kinds(sqlite_loop, ref)[-2:] == ["rollout.promoted", "rollout.watched"]
    assert sqlite_loop.step(promoted).reason == "the rollout is promoted"
    story = [one.text for one in history.story(sqlite_loop.ledger, ref)]
    assert any("rollout of version 2 watched: no harm proven in 300 requests of 24 hours" in text for text in story)


def test_harm_takes_the_promotion_back_by_itself(sqlite_loop, ref, promoted):
    """The version before answers again, and the cycle was no success; a freeze does not keep it."""
    freezes.freeze(sqlite_loop.ledger, ref, "ada", "holiday", sqlite_loop.now)
    asked(sqlite_loop, off=0.12)
    sqlite_loop.later(30)
    decision = sqlite_loop.step(promoted)
    assert decision.action == "roll_back"
    assert decision.reason.startswith("found after its promotion: ScoreShift")
    assert live(sqlite_loop, ref) == ("1", None)
    assert rollouts.rollout(sqlite_loop.ledger, promoted.rollout_id).state == "rolled_back"
    closed = cycles.cycle(sqlite_loop.ledger, promoted.cycle)
    assert (closed.state, closed.verdict) == ("rolled_back", decision.reason)
    assert sqlite_loop.platform.registry.by_alias(ref.dotted, "champion").version == "1"
    account = history.live_at(sqlite_loop.ledger, ref, sqlite_loop.now)
    assert account.stable.version == "1"
    assert "taken back by platform" in account.why[-1]


def test_too_few_requests_are_no_harm_after_a_promotion_either(sqlite_loop, promoted):
    """As before it."""
    sqlite_loop.ask(49, {"2": None})
    assert sqlite_loop.step(promoted).action == "wait"
    sqlite_loop.ask(10, {"2": None})
    assert sqlite_loop.step(promoted).action == "roll_back"


def window(loop, version, measured_at, value, spread=0.02):
    """Return a window of the quality monitor."""
    auc = ["roc_auc", "", value, value - spread, value + spread, 400, 0, True]
    measured = [auc, ["roc_auc", "", 0.1, 0.1, 0.1, 400, 400, False], ["roc_auc", "country=France", *auc[2:]]]
    return quality_table.Row(version, loop.now, loop.now, measured_at, "spec", json.dumps(measured), "[]")


def estimated(loop, ref, value, spread=0.02):
    """Let the monitor have measured a window of version 2."""
    quality_table.put(loop.ledger, ref, [window(loop, "2", loop.now, value, spread)], "spec")


@pytest.mark.parametrize(
    ("value", "spread", "outcome"),
    [(0.5, 0.02, "taken back"), (0.59, 0.02, "in doubt"), (0.5, 0.2, "in doubt"), (0.7, 0.02, "good")],
)
def test_an_estimate_that_lies_wholly_below_its_bound_takes_it_back(sqlite_loop, promoted, value, spread, outcome):
    """With its interval: what may be chance is told as a doubt, and nothing is done."""
    estimated(sqlite_loop, promoted.ref, value, spread)
    asked(sqlite_loop)
    decision = sqlite_loop.step(promoted)
    assert decision.action == ("roll_back" if outcome == "taken back" else "wait")
    assert ("in doubt: EstimatedQuality(roc_auc)" in decision.reason) is (outcome == "in doubt")
    assert f"estimated {value:.3f}" in decision.findings[2].detail


def test_estimates_of_another_version_or_of_before_say_nothing(sqlite_loop, ref, promoted):
    """A version's first life is not its second."""
    before = promoted.started_at.replace(year=2010)
    old, other = window(sqlite_loop, "2", before, 0.1), window(sqlite_loop, "1", sqlite_loop.now, 0.1)
    quality_table.put(sqlite_loop.ledger, ref, [old, other], "spec")
    asked(sqlite_loop)
    assert sqlite_loop.step(promoted).findings[2].detail == "nothing is estimated yet"


def test_a_person_takes_it_back_at_any_time(sqlite_loop, ref, promoted):
    """By name, to the version that was watched beside it; the watch is over with that."""
    after = rollback.roll_back(sqlite_loop.platform, ref, "bob", "complaints", sqlite_loop.now, "2")
    assert (after.stable.version, after.shadow) == ("1", None)
    assert rollouts.watched(sqlite_loop.ledger, ref) is None
    assert cycles.cycle(sqlite_loop.ledger, promoted.cycle).state == "rolled_back"
    assert sqlite_loop.ledger.entries(ref, ["rollout.rolled_back"])[-1].actor == "bob"


def test_the_first_step_of_another_rollout_ends_the_watch(sqlite_loop, ref, promoted):
    """Two versions are compared at a time; while the new one waits for a thaw the watch goes on."""
    version, cycle = sqlite_loop.candidate("third")
    freezes.freeze(sqlite_loop.ledger, ref, "ada", "holiday", sqlite_loop.now)
    third = start_rollout(sqlite_loop.platform, ref, sqlite_loop.model, version, cycle, sqlite_loop.now)
    assert live(sqlite_loop, ref) == ("2", "1")
    freezes.thaw(sqlite_loop.ledger, ref, "ada", "back", sqlite_loop.now)
    assert sqlite_loop.step(third).action == "advance"
    assert rollouts.rollout(sqlite_loop.ledger, promoted.rollout_id).state == "promoted"
    assert live(sqlite_loop, ref) == ("2", None)
    assert kinds(sqlite_loop, ref)[-1] == "rollout.watched"


def test_a_rollout_that_ends_before_its_first_step_leaves_the_watch(sqlite_loop, ref, promoted):
    """A person takes the new one back; the promotion before is still watched."""
    version, cycle = sqlite_loop.candidate("third")
    freezes.freeze(sqlite_loop.ledger, ref, "ada", "holiday", sqlite_loop.now)
    start_rollout(sqlite_loop.platform, ref, sqlite_loop.model, version, cycle, sqlite_loop.now)
    rollback.roll_back(sqlite_loop.platform, ref, "bob", "not this one", sqlite_loop.now)
    assert live(sqlite_loop, ref) == ("2", "1")
    assert rollouts.watched(sqlite_loop.ledger, ref) == promoted


def test_an_endpoint_that_was_changed_by_hand_is_left_as_it_is(sqlite_loop, ref, promoted):
    """The watch ends, and a rollback goes a step back from what answers."""
    other = replace(deployments.deployment(sqlite_loop.ledger, ref).stable, version=sqlite_loop.publish("third"))
    by_hand = {"actor": "ada", "reason": "by hand", "cycle": "", "now": sqlite_loop.now}
    deployments.change(sqlite_loop.platform, ref, other, None, 0, **by_hand)
    assert sqlite_loop.step(promoted).reason == "its endpoint was changed meanwhile"
    assert live(sqlite_loop, ref) == ("3", None)


def test_a_rule_that_lost_its_watch_ends_it(sqlite_loop, ref, promoted):
    """At the next look."""
    sqlite_loop.rule = replace(RULE, watch_hours=0)
    assert sqlite_loop.step(promoted).action == "end_watch"
    assert live(sqlite_loop, ref) == ("2", None)


def test_without_percents_a_version_is_watched_from_the_first_request(sqlite_loop, ref):
    """For a vendor that cannot split: harm is found beside the version before all the same."""
    sqlite_loop.rule = replace(RULE, percents=())
    record = sqlite_loop.second()
    assert (record.state, live(sqlite_loop, ref)) == ("watching", ("2", "1"))
    asked(sqlite_loop, off=0.12)
    assert sqlite_loop.step(record).action == "roll_back"
