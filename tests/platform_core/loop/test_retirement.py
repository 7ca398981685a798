"""A model that is no more: nothing is live of it, its endpoint ends, and what was stays known."""

from __future__ import annotations

import pytest

from loopline.platform_core.errors import NotFound, Refused, StoreUnavailable
from loopline.platform_core.loop.deployments.deployments import CHANGED, unfinished
from loopline.platform_core.loop.rollouts.retirement import retire
from loopline.platform_core.loop.sentences import tell
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from tests.platform_core.loop.conftest import REF, Loop


def test_a_model_is_retired(loop: Loop) -> None:
    """In the middle of a rollout too: the rollout ends, nothing answers, and the ledger says who and why."""
    loop.second()
    assert loop.serving.observe(REF.dotted).ready
    assert retire(loop.platform, REF, "anna", "replaced by returns", loop.now)
    assert not loop.serving.observe(REF.dotted).ready
    now = loop.live
    assert (now.stable, now.candidate, now.applied) == (None, None, now.generation)
    last = loop.ledger.entries(REF, [CHANGED])[-1]
    assert (last.actor, last.reason) == ("anna", "replaced by returns")
    assert tell(last).endswith(f"nothing answers (generation {now.generation}): replaced by returns")
    assert retire(loop.platform, REF, "anna", "again", loop.now)
    assert loop.live.generation == now.generation


def test_it_may_come_back(loop: Loop) -> None:
    """A rollout that begins later finds an endpoint as new as the first one did."""
    loop.roll_out("first")
    retire(loop.platform, REF, "anna", "gone", loop.now)
    loop.later(60)
    loop.roll_out("second")
    assert loop.stable.version == "2"
    assert loop.serving.observe(REF.dotted).generation == loop.live.generation


def test_what_is_left_undone_is_done_later(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the endpoint's vendor is away the ledger says what is wished, and whoever calls again completes it."""
    loop.roll_out("first")

    def away(*_: object) -> bool:
        raise StoreUnavailable("the API is away", "wait")

    with monkeypatch.context() as patched:
        patched.setattr(InMemoryServing, "let_go", away)
        with pytest.raises(StoreUnavailable):
            retire(loop.platform, REF, "anna", "gone", loop.now)
    assert unfinished(loop.ledger, REF.team) == [REF]
    assert loop.serving.observe(REF.dotted).ready
    assert retire(loop.platform, REF, "anna", "gone", loop.now)
    assert unfinished(loop.ledger, REF.team) == []
    assert not loop.serving.observe(REF.dotted).ready


def test_who_deploys_it_anew_meanwhile_keeps_the_endpoint(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is the newest in the ledger is what answers."""
    loop.roll_out("first")
    let_go, anew = InMemoryServing.let_go, iter(["second"])

    def late(serving: InMemoryServing, model: str) -> bool:
        ends = let_go(serving, model)
        for name in anew:
            loop.later(60)
            loop.roll_out(name)
        return ends

    monkeypatch.setattr(InMemoryServing, "let_go", late)
    assert retire(loop.platform, REF, "anna", "gone", loop.now)
    assert loop.stable.version == "2"
    assert loop.serving.observe(REF.dotted).generation == loop.live.generation


def test_who_and_why_are_asked_for(loop: Loop) -> None:
    """And one that was never deployed cannot be retired."""
    with pytest.raises(NotFound, match="was never deployed"):
        retire(loop.platform, REF, "anna", "gone", loop.now)
    loop.roll_out("first")
    with pytest.raises(Refused, match="a retirement names no person"):
        retire(loop.platform, REF, "", "gone", loop.now)
    assert loop.serving.observe(REF.dotted).ready
