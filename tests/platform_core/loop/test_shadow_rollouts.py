"""A rollout that begins in shadow: the candidate is judged before any caller meets it."""

from __future__ import annotations

import pytest

from loopline.platform_core.loop import freezes, history
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.specs import P99, ErrorRate, Rollout
from loopline.platform_core.turn import start_rollout

JUDGES = (ErrorRate(0.05), P99(50))


@pytest.fixture
def shadowed(loop):
    """Make version 1 live and start the rollout of version 2, in shadow first; gives the latter."""
    loop.rule = Rollout(percents=(20, 100), bake_minutes=10, min_requests=20, judges=JUDGES, shadow_requests=100)
    return loop.second()


def told(loop, ref):
    """Return what the ledger says of rollouts of version 2."""
    return [e.kind for e in loop.ledger.entries(ref) if e.kind.startswith("rollout.") and e.version == "2"]


def test_it_is_judged_in_shadow_then_takes_its_percents(loop, ref, shadowed):
    """Nobody is answered by it before enough was replayed and the bake time is over; each step is in the ledger."""
    live = loop.live
    assert (live.shadow.version, live.candidate, live.percent, shadowed.in_shadow) == ("2", None, 0, True)
    assert loop.serving._states[ref.dotted].shadow == live.shadow
    assert loop.baked(shadowed, 60).reason == "60 of 100 requests replayed"
    loop.ask(60)
    assert {row["version"] for row in loop.serving._log[ref.dotted] if row["role"] != "shadow"} == {"1"}
    decision = loop.step(shadowed)
    assert (decision.action, decision.percent) == ("advance", 20)
    assert decision.reason == "no harm in 120 requests in shadow"
    live = loop.live
    assert (live.shadow, live.candidate.version, live.percent) == (None, "2", 20)
    for _ in range(2):
        loop.baked(shadowed, 200)
    assert loop.live.stable.version == "2"
    assert told(loop, ref) == [
        "rollout.started",
        "rollout.shadowed",
        "rollout.advanced",
        "rollout.advanced",
        "rollout.promoted",
    ]


def test_it_bakes_in_shadow(loop, shadowed):
    """Enough requests alone do not take it on."""
    loop.ask(200)
    loop.later(9)
    assert loop.step(shadowed).reason.startswith("bakes until")


def test_harm_in_shadow_is_taken_back_before_any_caller_met_it(loop, ref, shadowed):
    """With fewer requests than the shadow wants, but enough to judge."""
    loop.ask(60, {"2": None})
    decision = loop.step(shadowed)
    assert (decision.action, decision.percent) == ("roll_back", 0)
    assert decision.reason.startswith("ErrorRate")
    live = loop.live
    assert (live.stable.version, live.candidate, live.shadow) == ("1", None, None)
    assert {row["status"] for row in loop.serving._log[ref.dotted] if row["role"] != "shadow"} == {200}
    assert loop.step(shadowed).reason == "the rollout is rolled_back"


def test_what_it_said_in_shadow_does_not_count_in_front_of_callers(loop, shadowed):
    """A shadow may lag: its rows come when the first step has begun already."""
    loop.baked(shadowed, 200)
    late = [dict(row) for row in loop.serving._log["retail.cancellations"] if row["role"] == "shadow"]
    loop.serving._log["retail.cancellations"].extend(late)
    loop.later(10)
    assert loop.step(shadowed).reason == "0 of 20 requests answered"


def test_a_shadow_that_does_not_load_is_taken_back_after_the_bake_time(loop, ref, shadowed):
    """Nothing would ever be replayed; the reason is the endpoint's."""
    package = loop.live.shadow.package
    package.joinpath("manifest.json").unlink()
    loop.serving.apply(loop.serving._states[ref.dotted])
    loop.ask(60)
    assert "holds no package" in loop.step(shadowed).reason
    loop.later(10)
    decision = loop.step(shadowed)
    assert decision.action == "roll_back"
    assert decision.reason.startswith("nothing is replayed: generation 2: ")


def test_a_rollout_without_percents_goes_from_shadow_to_all(loop, ref):
    """For a vendor that cannot split, the shadow is where harm is found."""
    loop.rule = Rollout(percents=(), bake_minutes=10, min_requests=20, judges=JUDGES, shadow_requests=50)
    record = loop.second()
    assert record.in_shadow
    assert loop.baked(record, 60).action == "promote"
    assert loop.live.stable.version == "2"


def test_a_rule_that_lost_its_shadow_goes_on_without(loop, ref):
    """Frozen before it began, it meets the rule of now."""
    loop.rule = Rollout(percents=(20,), bake_minutes=10, min_requests=20, judges=JUDGES, shadow_requests=50)
    loop.roll_out("first")
    version, cycle = loop.candidate("second")
    freezes.freeze(loop.ledger, ref, "ada", "holiday", loop.now)
    record = start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    assert (record.step, record.in_shadow) == (-2, False)
    freezes.thaw(loop.ledger, ref, "ada", "back", loop.now)
    loop.rule = Rollout(percents=(20,), bake_minutes=10, min_requests=20, judges=JUDGES)
    assert loop.step(record).percent == 20
    assert rollouts.rollout(loop.ledger, record.rollout_id).step == 0


def test_history_says_what_was_in_shadow(loop, ref, shadowed):
    """At a moment, and in the story."""
    account = history.live_at(loop.ledger, ref, loop.now)
    assert (account.stable.version, account.shadow.version, account.candidate) == ("1", "2", None)
    story = [one.text for one in history.story(loop.ledger, ref)]
    assert any("version 1 answers, version 2 in shadow" in text for text in story)
    assert any("rollout of version 2 shadowed: first what callers are answered" in text for text in story)
