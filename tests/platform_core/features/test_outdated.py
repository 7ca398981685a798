"""A version goes live only while its features are as they were when it was trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopline.platform_core.errors import Refused
from loopline.platform_core.features.registry.outdated import refuse_outdated
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.specs import Rollout
from loopline.platform_core.turn import start_rollout
from loopline.stories.registered_team import FIRST, REF, SECOND, spend_only

PASSED = Verdict((GateReading("AtLeast(roc_auc)", 1, 0.72, 0.65, passed=True, detail=""),))


def start(shop, made) -> None:
    """Start the rollout of a version that passed its gates; with nothing live it is promoted at once."""
    now, model = shop.platform.clock.now(), replace(shop.team(FIRST).models[0], rollout=Rollout(percents=()))
    gates.record_verdict(shop.platform.ledger, REF, "", made.version, PASSED, now)
    start_rollout(shop.platform, REF, model, made.version, "", now)


def live(shop) -> str | None:
    """Return the version that answers."""
    found = deployments.deployment(shop.platform.ledger, REF)
    return found.stable.version if found and found.stable else None


def test_a_version_trained_on_another_meaning_does_not_go_live(shop):
    """Its view was changed while nothing live read it: the refusal says what changed, and nothing is deployed."""
    shop.registry.register(shop.team(FIRST))
    made = shop.made(FIRST)
    shop.registry.register(shop.team(replace(FIRST, compute=spend_only)))
    with pytest.raises(Refused) as refused:
        start(shop, made)
    assert refused.value.problem == (
        "version 1 of shop/large learnt from features that are no longer so: shop/spending@1 changed since "
        "(feature 'orders' is gone, its code changed (its function))"
    )
    assert refused.value.fix == "train a new version: open another cycle"
    assert live(shop) is None


def test_a_version_whose_view_is_retired_does_not_go_live(shop):
    """What is retired is written no more."""
    shop.registry.register(shop.team(FIRST, beside=(SECOND,)))
    made = shop.made(SECOND)
    shop.registry.register(shop.team(FIRST))
    with pytest.raises(Refused, match="no longer so: shop/spending@2 is retired"):
        start(shop, made)


def test_what_is_as_it_was_goes_live(shop):
    """Also after a change that was taken back, and where nothing was registered yet when it was trained."""
    before_the_registry = shop.made(FIRST)
    shop.registry.register(shop.team(FIRST))
    made = shop.made(FIRST)
    shop.registry.register(shop.team(replace(FIRST, ttl_days=9)))
    shop.registry.register(shop.team(replace(FIRST, owner="bob")))
    start(shop, before_the_registry)
    assert live(shop) == before_the_registry.version
    start(shop, made)
    assert live(shop) == made.version


def test_a_rollout_on_its_way_is_a_reader(shop):
    """From its start on, what the version reads keeps its meaning, though it answers nobody yet."""
    shop.registry.register(shop.team(FIRST, beside=(SECOND,)))
    start(shop, shop.made(FIRST))
    made, now = shop.made(SECOND), shop.platform.clock.now()
    record = rollouts.RolloutRecord("r", REF, "", made.version, made.package, -1, 0, now, now, None, "running")
    rollouts._insert(shop.platform.ledger, record, refuse_outdated, "")
    with pytest.raises(Refused, match=r"spending@2 is read by shop/large version 2 \(rollout\)"):
        shop.registry.register(shop.team(FIRST))
