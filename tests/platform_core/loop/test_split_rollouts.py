"""Rollouts where requests are split by chance: what they rest on is there, and what could not be is refused."""

from __future__ import annotations

import pytest

from loopline.platform_core.contracts.serving import SPLIT
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.specs import P99, ErrorRate, Rollout, ScoreShift, Slower
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.fakes.serving_vendors import SplitServing


class SomeApart(InMemoryServing):
    """Serves one model with its versions apart, and all others as ever."""

    apart: str = ""

    def abilities(self, model):
        """Split the one by chance."""
        return frozenset({SPLIT}) if model == self.apart else self.can


def rule(**more):
    """Return a rule of two steps."""
    return Rollout(percents=(20, 100), bake_minutes=10, min_requests=20, **more)


def test_a_candidate_takes_its_steps(loop, ref):
    """Whoever asks for a canary is content with a split; judges compare what each side answered."""
    loop.platform.environment.bindings["serving"] = SplitServing()
    loop.rule = rule(judges=(ErrorRate(0.05), P99(50), ScoreShift(0.5)))
    second = loop.second()
    assert loop.serving._states[ref.dotted].paired is False
    for _ in range(2):
        loop.baked(second, 400)
    assert loop.live.stable.version == "2"


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"judges": (Slower(5),)}, "Slower of .* compares both versions on the same requests"),
        ({"shadow_requests": 100}, "replays no requests.*shadow_requests=0"),
        ({"watch_hours": 1}, "replays no requests.*watch_hours=0"),
    ],
)
def test_what_cannot_hold_is_refused_before_anything_changes(loop, ref, more, words, live):
    """A judge that could never speak, a shadow, a watch; the version that is ``live`` stays, and nothing runs."""
    loop.platform.environment.bindings["serving"] = SplitServing()
    loop.rule = rule()
    before = live and loop.roll_out("first") and loop.live
    loop.rule = rule(**more)
    with pytest.raises(Unsupported, match=words):
        loop.roll_out("second")
    assert (loop.live, rollouts.running(loop.ledger, ref)) == (before or None, None)


def test_what_one_model_lacks_the_others_have(loop, ref):
    """A vendor says it by model."""
    loop.platform.environment.bindings["serving"] = SomeApart(apart="another.model")
    loop.rule = rule(judges=(Slower(5),))
    loop.roll_out("first")
    loop.roll_out("second")
    assert loop.serving._states[ref.dotted].paired is True
