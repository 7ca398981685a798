"""Cycles that a person opens, and what is said of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from loopline.cli.cycle_state import standing
from loopline.platform_core import plugins
from loopline.platform_core.contracts.serving import ObservedState
from loopline.platform_core.errors import Refused, Transient
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import cycles
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.testing.compute import ENDLESS, ENDLESS_SECONDS, SMALL, calls
from loopline.platform_core.turn import Turn, fit, start_rollout
from loopline.resources.local.serving import LocalServing
from tests.waiting import until

REF = ModelRef("corner", "returns")


def test_a_cycle_is_opened_with_name_and_reason(world):
    """Who and why stand in the cycle's cause, and no cool-down keeps a person from opening the next one.

    Before it there is none, which is a sentence for people; of a model that nobody declares there will be none. The
    instant of a change is kept for the lead time, in UTC whatever zone it was written in.
    """
    assert "no cycle yet" in world.run("cycle", "list", "returns").stdout
    assert world.json("cycle", "list", "returns")["cycles"] == []
    said = world.json("cycle", "start", "returns", "--reason", "new season")
    assert (said["cause"], said["state"]) == ("started by alice: new season", "open")
    assert "corner/returns" in world.json("cycle", "start", "refunds", "--reason", "typo", code=1)["fix"]
    listed = world.json("cycle", "list", "corner/returns")["cycles"]
    assert [(one["cycle_id"], one["state"]) for one in listed] == [(said["cycle"], "open")]
    with closing(Platform.open()) as platform:
        cycles.close_cycle(platform.ledger, said["cycle"], "failed", "no rows", world.now)
    changed = ("--changed-at", "2011-03-01T11:00:00+01:00")
    assert world.json("cycle", "start", "returns", "--reason", "rows came", "--by", "bob", *changed)["state"] == "open"
    assert world.entries("cycle.opened")[-1].details["changed_at"] == "2011-03-01T10:00:00+00:00"
    text = world.run("cycle", "list", "returns").stdout
    assert "no rows" in text
    assert "started by bob: rows came" in text


def test_a_cycle_that_is_open_or_a_freeze_forbids_it(world):
    """One cycle a model at a time, and none while a person has frozen it."""
    world.run("cycle", "start", "returns", "--reason", "new season")
    assert world.json("cycle", "start", "returns", "--reason", "again", code=1)["error"] == "Refused"
    world.run("freeze", "returns", "--reason", "stocktaking")
    said = world.json("cycle", "start", "returns", "--reason", "again", code=1)
    assert "stocktaking" in said["problem"]


def test_who_closes_a_cycle_ends_its_training(world, tmp_path):
    """What it computes is killed, and whoever waits for that is told why."""
    world.bind("{vendor: in_process}", f"{{vendor: subprocess, root: {tmp_path}/work}}")
    opened = world.json("cycle", "start", "returns", "--reason", "new season")["cycle"]
    platform, endless = Platform.open(), {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(platform.compute.run, ENDLESS, endless, SMALL, opened)
        until(lambda: calls(tmp_path))
        assert world.json("cycle", "close", opened, "--reason", "the wrong day")["state"] == "failed"
        with pytest.raises(Transient):
            training.result(60)
    team = plugins.installed(only=["corner"]).team("corner")
    found = Turn(platform, team, team.model("returns"), cycles.cycle(platform.ledger, opened))
    with pytest.raises(Refused, match="closed by alice: the wrong day"):
        fit(found)
    platform.close()


def test_who_waits_is_not_told_that_it_is_over_before_the_worker_serves(world, tmp_path):
    """A worker that lives and has not come to look yet has no trouble: it is waited for."""
    world.roll_out("first")
    platform = Platform.open()
    platform.environment.bindings["serving"] = LocalServing(root=str(tmp_path), port=1)
    (cycle,) = cycles.cycles(platform.ledger, REF)
    worker = Worker(tmp_path, "w")
    assert not standing(platform, cycle).settled
    worker.report(REF.dotted, ObservedState(0, ready=False))
    assert not standing(platform, cycle).settled
    worker.report(REF.dotted, ObservedState(1, ready=True))
    assert standing(platform, cycle).settled
    worker.leave()
    platform.close()


def _meanwhile(close) -> threading.Thread:
    """Let something happen to the cycle that a command has just opened and waits for."""

    def run() -> None:
        with closing(Platform.open()) as platform:
            close(platform, until(lambda: cycles.open_cycles(platform.ledger))[0])

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_waiting_ends_with_the_verdict(world):
    """A cycle that is rejected ends the wait with exit code 1 and its verdict."""
    world.later(0)
    thread = _meanwhile(
        lambda platform, one: cycles.close_cycle(platform.ledger, one.cycle_id, "rejected", "too weak", world.now)
    )
    said = world.json("cycle", "start", "returns", "--reason", "try", "--wait", "--timeout-seconds", "20", code=1)
    thread.join()
    assert (said["state"], said["verdict"]) == ("rejected", "too weak")


def test_waiting_ends_when_the_rollout_bakes(world):
    """Once the candidate answers its first percent the rest is a matter of bake time: exit code 0."""
    from corner_shop import returns  # the fixture has just installed it

    world.roll_out("first")
    version, done = world.open_cycle("second")
    platform = Platform.open()
    cycles.close_cycle(platform.ledger, done, "failed", "its run failed", world.now)
    thread = _meanwhile(lambda mine, one: start_rollout(mine, REF, returns, version, one.cycle_id, world.now))
    said = world.json("cycle", "start", "returns", "--reason", "try", "--wait", "--timeout-seconds", "20")
    thread.join()
    platform.close()
    assert (said["state"], said["percent"]) == ("baking", 50)


def test_waiting_gives_up(world):
    """Where nothing runs the wait ends after its time, and says what to look at."""
    said = world.json("cycle", "start", "returns", "--reason", "try", "--wait", "--timeout-seconds", "0", code=1)
    assert said["error"] == "StoreUnavailable"
    assert "loopline up" in said["fix"]
