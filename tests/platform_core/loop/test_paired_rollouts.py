"""Two versions are judged on the same requests, at every percent: what customers change is no difference of theirs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from loopline.platform_core.contracts.serving import CANARY, ObservedState
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.specs import ErrorRate, Rollout, ScoreShift
from loopline.platform_core.testing.fakes.serving import InMemoryServing

JUDGES = (ErrorRate(0.05), ScoreShift(0.5))
RULE = Rollout(percents=(20, 100), bake_minutes=10, min_requests=50, judges=JUDGES)
FIRST_WEEK, SECOND_WEEK = (20, 4), (8, 10)
"""Beta distributions of the scores: their means are 0.83 and 0.44."""


class Apart(InMemoryServing):
    """Splits traffic, and replays nothing."""

    can = frozenset({CANARY})


class Starved(InMemoryServing):
    """Replays nothing, as its process has no time, and says nothing of it."""

    problem: ClassVar[str] = ""

    def answer(self, model, *args, **kwargs):
        """Leave out what would be replayed."""
        chosen = super().answer(model, *args, **kwargs)
        self._log[model] = [row for row in self._log[model] if row["role"] != "shadow"]
        return chosen

    def observe(self, model: str) -> ObservedState:
        """Say what is wrong, if anything."""
        seen = super().observe(model)
        return ObservedState(seen.generation, seen.ready, type(self).problem)


class Told(Starved):
    """Replays nothing, and says why."""

    problem: ClassVar[str] = "no shadow process runs"


def a_week_of(loop, week, count=600, off=0.0, seed=0):
    """Ask; both versions score a request alike but for noise, and the candidate's lie ``off`` higher."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        score = float(random.beta(*week))
        other = float(np.clip(score + random.normal(off, 0.02), 0, 1))
        loop.asked += 1
        loop.serving.answer("retail.cancellations", f"customer {loop.asked}", {"1": score, "2": other})


@pytest.fixture
def canary(sqlite_loop):
    """Make version 1 live and start the rollout of version 2 at 20 percent."""
    sqlite_loop.rule = RULE
    return sqlite_loop.second()


def stepped(loop, record):
    """Take a step when the bake time is over."""
    loop.later(10)
    return loop.step(record)


def test_a_good_candidate_is_promoted_though_the_next_week_is_another(sqlite_loop, canary):
    """It answers all of a week whose scores lie lower by four deviations: so would the stable version's."""
    a_week_of(sqlite_loop, FIRST_WEEK)
    assert stepped(sqlite_loop, canary).percent == 100
    a_week_of(sqlite_loop, SECOND_WEEK, seed=1)
    decision = stepped(sqlite_loop, canary)
    assert (decision.action, [f.harm for f in decision.findings]) == ("promote", [False, False])
    assert decision.findings[1].value < 0.1
    assert "rows scored by both" in decision.findings[1].detail
    assert deployments.deployment(sqlite_loop.ledger, canary.ref).stable.version == "2"


@pytest.mark.parametrize("percent", [20, 100])
def test_a_bad_candidate_is_taken_back_at_every_percent(sqlite_loop, canary, percent):
    """Its scores lie a deviation higher than the stable version's of the same requests, in whatever week."""
    if percent == 100:
        a_week_of(sqlite_loop, FIRST_WEEK)
        assert stepped(sqlite_loop, canary).percent == 100
    a_week_of(sqlite_loop, SECOND_WEEK, off=0.12, seed=1)
    decision = sqlite_loop.step(canary)
    assert (decision.action, decision.findings[1].harm) == ("roll_back", True)
    assert decision.reason.startswith("ScoreShift")


def test_harm_that_another_week_would_hide_is_found(sqlite_loop, canary):
    """The candidate scores a low week as high as the stable version did a high one: beside that one all seems well."""
    a_week_of(sqlite_loop, FIRST_WEEK)
    assert stepped(sqlite_loop, canary).percent == 100
    a_week_of(sqlite_loop, SECOND_WEEK, off=0.39, seed=1)
    assert sqlite_loop.step(canary).action == "roll_back"


def test_in_shadow_the_same_requests_are_compared(sqlite_loop):
    """What was replayed and what the caller was answered are a pair too."""
    sqlite_loop.rule = Rollout(percents=(20,), bake_minutes=10, min_requests=50, judges=JUDGES, shadow_requests=300)
    record = sqlite_loop.second()
    a_week_of(sqlite_loop, SECOND_WEEK, off=0.12)
    decision = sqlite_loop.step(record)
    assert decision.action == "roll_back"
    assert "rows scored by both" in decision.findings[1].detail


def test_where_nothing_can_be_replayed_only_what_was_answered_meanwhile_is_compared(sqlite_loop):
    """At all percent there is nothing to compare with then, and no other week stands in."""
    sqlite_loop.platform.environment.bindings["serving"] = Apart()
    sqlite_loop.rule = RULE
    record = sqlite_loop.second()
    a_week_of(sqlite_loop, FIRST_WEEK)
    decision = stepped(sqlite_loop, record)
    assert (decision.percent, "scores beside" in decision.findings[1].detail) == (100, True)
    a_week_of(sqlite_loop, SECOND_WEEK, seed=1)
    decision = stepped(sqlite_loop, record)
    assert (decision.action, decision.findings[1].value) == ("promote", None)


@pytest.mark.parametrize("serving", [Starved, Told])
def test_at_all_percent_replays_are_waited_for_as_long_as_a_doubt(sqlite_loop, serving):
    """Unless the endpoint says that there will be none; what was answered meanwhile is compared before."""
    sqlite_loop.platform.environment.bindings["serving"] = serving()
    sqlite_loop.rule = RULE
    record = sqlite_loop.second()
    a_week_of(sqlite_loop, FIRST_WEEK)
    assert stepped(sqlite_loop, record).percent == 100
    a_week_of(sqlite_loop, SECOND_WEEK, seed=1)
    decision = stepped(sqlite_loop, record)
    if serving is Told:
        assert decision.action == "promote"
        return
    assert (decision.action, decision.reason) == (
        "wait",
        "ScoreShift waits: 600 scores beside 0, 0 of 200 rows scored by both",
    )
    sqlite_loop.later(30)
    assert sqlite_loop.step(record).action == "promote"
