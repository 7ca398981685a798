"""What the commands say of a version in shadow."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from loopline.cli.loop.cycle_state import standing
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.platform import Platform
from loopline.platform_core.turn import start_rollout

REF = ModelRef("corner", "returns")


@pytest.fixture
def cycle(world):
    """Make version 1 live, and put version 2 in shadow; gives its cycle."""
    from corner_shop import returns  # the fixture has just installed it

    world.roll_out("first")
    version, cycle = world.open_cycle("second")
    model = replace(returns, rollout=replace(returns.rollout, shadow_requests=100))
    with closing(Platform.open()) as platform:
        assert start_rollout(platform, REF, model, version, cycle, world.now).in_shadow
    return cycle


def test_status_and_history_name_the_shadow(world, cycle):
    """As JSON and as text; nobody is answered by it. Who waits is told so: the rest is traffic and bake time."""
    with closing(Platform.open()) as platform:
        now = standing(platform, cycles.cycle(platform.ledger, cycle))
    assert (now.state, now.percent, now.settled) == ("baking", 0, True)
    assert "version 2 answers nobody yet" in now.sentence
    said = world.status()
    assert (said["stable"]["version"], said["candidate"], said["percent"]) == ("1", None, 0)
    assert said["shadow"] == {"version": "2", "cycle": cycle, "erased_persons": 0}
    assert "shadow" in world.run("model", "status", "returns").stdout
    account = world.json("history", "returns", "--at", world.now.isoformat())
    assert (account["shadow"]["version"], account["candidate"]) == ("2", None)
    assert "version 1 answers, version 2 in shadow" in world.run("history", "returns").stdout


def test_a_promotion_that_is_watched_is_listed_and_told(world):
    """With the version that goes on as a shadow; its cycle is closed, and a rollback goes to that version."""
    from corner_shop import returns

    world.roll_out("first")
    version, cycle = world.open_cycle("second")
    model = replace(returns, rollout=replace(returns.rollout, percents=(), watch_hours=24))
    with closing(Platform.open()) as platform:
        assert start_rollout(platform, REF, model, version, cycle, world.now).state == "watching"
        assert standing(platform, cycles.cycle(platform.ledger, cycle)).state == "promoted"
    (listed,) = world.json("rollout", "list")["rollouts"]
    assert (listed["version"], listed["state"]) == ("2", "watching")
    assert "watched since its promotion" in world.run("rollout", "list").stdout
    said = world.status()
    assert (said["stable"]["version"], said["shadow"]["version"]) == ("2", "1")
    assert "version 2 answers, version 1 in shadow" in world.run("history", "returns").stdout
    world.run("rollback", "returns", "--reason", "complaints")
    assert world.json("rollout", "list")["rollouts"] == []
    assert world.status()["stable"]["version"] == "1"
