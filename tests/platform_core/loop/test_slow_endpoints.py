"""Rollouts over endpoints that take minutes, get states done in any order, fail half-way or are out of reach."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.specs import P99, ErrorRate, Rollout
from loopline.platform_core.testing.fakes.serving_vendors import SlowServing, UnorderedServing, UnreachableServing
from loopline.platform_core.turn import start_rollout

REF = ModelRef("retail", "cancellations")
JUDGES = (ErrorRate(0.05), P99(50))
BAKE = timedelta(minutes=10)
TICK = timedelta(minutes=1)
"""It bakes from the last tick that saw the endpoint on its way, so up to a tick before it was there."""
RULE = Rollout(percents=(20, 50, 100), bake_minutes=10, min_requests=20, judges=JUDGES)


def bind(loop, serving):
    """Bind a vendor that goes by the loop's clock, and make version 1 live on it."""
    loop.platform.environment.bindings["serving"] = serving.by(lambda: loop.now)
    loop.rule = RULE
    start(loop, "first")
    loop.later(60)
    return serving


def start(loop, name):
    """Start a rollout, again and again while the endpoint is out of reach, as a run that is repeated does."""
    version, cycle = loop.candidate(name)
    while True:
        try:
            return start_rollout(loop.platform, REF, loop.model, version, cycle, loop.now)
        except StoreUnavailable:
            loop.later(1)


def tick(loop, record):
    """Look once a minute and take the step that is due, as sensor and job do; gives what the rollout has come to."""
    loop.later(1)
    with suppress(StoreUnavailable):
        for ref in deployments.unfinished(loop.ledger, REF.team):
            deployments.repair(loop.platform, ref)
        now = rollouts.rollout(loop.ledger, record.rollout_id)
        if rollouts.look(loop.platform, loop.model, now, loop.now).action != "wait":
            loop.step(record)
    now = rollouts.rollout(loop.ledger, record.rollout_id)
    return now.state if now.state != "running" else now.percent


@pytest.mark.parametrize("vendor", [SlowServing, UnorderedServing, UnreachableServing])
@pytest.mark.parametrize("minutes", [4, 15])
def test_no_step_goes_on_before_the_endpoint_had_a_bake_time_at_it(sqlite_loop, ref, vendor, minutes):
    """Whatever the endpoint takes: each percent is met by enough requests for a bake time, then comes the next."""
    loop, serving = sqlite_loop, bind(sqlite_loop, vendor(minutes=minutes))
    record, arrived, steps = start(loop, "second"), {}, [20]
    while steps[-1] != "promoted":
        loop.ask(40)
        there, asked = serving.observe(ref.dotted).generation, deployments.deployment(loop.ledger, ref).generation
        arrived.setdefault(there, loop.now)
        came_to = tick(loop, record)
        if came_to != steps[-1]:
            assert (there, loop.now - arrived[asked] >= BAKE - TICK) == (asked, True)
            steps.append(came_to)
        assert loop.now - record.started_at < 40 * TICK + 8 * minutes * TICK, "it hangs"
    assert steps == [20, 50, 100, "promoted"]
    for _ in range(2 * minutes + 1):
        tick(loop, record)
    live = deployments.deployment(loop.ledger, ref)
    assert (live.stable.version, live.applied) == ("2", live.generation)
    assert serving.observe(ref.dotted).generation == live.generation
    loop.ask(20)
    assert {row["version"] for row in serving._log[ref.dotted][-20:]} == {"2"}


def test_a_candidate_that_is_not_there_yet_is_not_judged(sqlite_loop, ref):
    """Neither well nor ill: the reason says what is waited for."""
    loop, serving = sqlite_loop, bind(sqlite_loop, SlowServing(minutes=30))
    serving.observe(ref.dotted)
    record = start(loop, "second")
    for _ in range(25):
        loop.ask(50)
        loop.later(1)
        decision = loop.step(record)
        assert decision.action == "wait"
        assert decision.reason == "0 of 20 requests answered; the endpoint is at generation 1, not at 2 yet"


def test_a_low_traffic_step_is_not_taken_on_requests_of_the_step_before(sqlite_loop, ref):
    """While the endpoint is on its way the old percent answers: those requests do not count for the new one."""
    loop, serving = sqlite_loop, bind(sqlite_loop, SlowServing(minutes=5))
    record = start(loop, "second")
    while tick(loop, record) != 50:
        loop.ask(100)
    for _ in range(4):
        loop.ask(200)  # on the way to 50 percent
        assert tick(loop, record) == 50
    for _ in range(30):  # there, and nobody asks
        assert tick(loop, record) == 50
    assert serving.observe(ref.dotted).generation == deployments.deployment(loop.ledger, ref).generation
    assert loop.step(record).reason == "0 of 20 requests since it is there"
    loop.ask(100)
    assert tick(loop, record) == 100


def test_harm_on_the_way_goes_back_and_what_comes_late_stays_out(sqlite_loop, ref):
    """The step that was asked for and is not there yet is overtaken by the way back, in whatever order they come."""
    loop, serving = sqlite_loop, bind(sqlite_loop, UnorderedServing(minutes=6))
    record = start(loop, "second")
    while tick(loop, record) != 50:
        loop.ask(100)
    loop.ask(200, {"2": None})
    assert tick(loop, record) == "rolled_back"
    for _ in range(30):
        loop.later(1)
        serving.observe(ref.dotted)
    assert serving.observe(ref.dotted).generation == deployments.deployment(loop.ledger, ref).generation
    loop.ask(100)
    assert {row["version"] for row in serving._log[ref.dotted][-100:]} == {"1"}


@pytest.mark.parametrize("refused", [2, 3, 4])
def test_an_endpoint_that_fails_half_way_is_taken_back(sqlite_loop, ref, refused):
    """Minutes later it says that a generation cannot be had: the rollout ends, and the version before answers."""
    reason = "no machines of this kind are left"
    loop, serving = sqlite_loop, bind(sqlite_loop, SlowServing(minutes=4, refused={refused: reason}))
    record, came_to = start(loop, "second"), 20
    while came_to not in {"rolled_back", "promoted"}:
        loop.ask(40)
        came_to = tick(loop, record)
        assert loop.now - record.started_at < 120 * TICK, loop.step(record).reason
    assert came_to == "rolled_back"
    assert reason in loop.ledger.entries(ref, ["rollout.rolled_back"])[-1].reason
    loop.later(10)
    assert serving.observe(ref.dotted).problem == ""
    loop.ask(50)
    assert {row["version"] for row in serving._log[ref.dotted][-50:]} == {"1"}


def test_a_way_back_that_the_endpoint_did_not_take_is_taken_at_the_next_tick(sqlite_loop, ref):
    """The rollout is over by then, and nobody steps it any more; the sensor still sees what was left undone."""
    loop, serving = sqlite_loop, bind(sqlite_loop, UnreachableServing(minutes=0))
    record = start(loop, "second")
    loop.ask(200, {"2": None})
    states = []
    for _ in range(4):
        states.append(tick(loop, record))
        live = deployments.deployment(loop.ledger, ref)
    assert states == ["rolled_back"] * 4
    assert live.applied == live.generation == serving.observe(ref.dotted).generation
    loop.ask(100)
    assert {row["version"] for row in serving._log[ref.dotted][-100:]} == {"1"}
