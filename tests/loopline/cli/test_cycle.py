"""Cycles that a person opens, and what is said of them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from loopline.cli.loop.cycle_state import standing
from loopline.platform_core import alarms, plugins
from loopline.platform_core.alarms import Alarm
from loopline.platform_core.contracts.serving import ObservedState
from loopline.platform_core.errors import Refused, Transient
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments, watching
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


def test_who_waits_is_told_at_once_for_what(world):
    """Nothing runs here: that is said before a second is over, with what to do, and not only when the wait is over."""
    began = time.monotonic()
    said = world.run("cycle", "start", "returns", "--reason", "try", "--wait", "--timeout-seconds", "0.1")
    assert said.exit_code == 1
    assert "is open; its data is looked at" in said.stderr
    (told,) = [line for line in said.stderr.splitlines() if "nothing runs in" in line and " → " in line]
    assert "start it with 'loopline up'" in told
    assert time.monotonic() - began < 5, "a busy machine"


def test_what_holds_a_cycle_is_told_who_let_it_go_stays(world):
    """A refused file holds it: the wait says so, with what to do, though no sensor runs; so does its page of later."""
    bad = Alarm("refused:corner/sales", "error", "a.csv is refused", "look", ModelRef("corner", ""))
    with closing(Platform.open()) as platform:
        alarms.raise_alarm(platform, bad)
    said = world.run("cycle", "start", "returns", "--reason", "try", "--wait", "--timeout-seconds", "0.1")
    assert "held since" in said.stderr
    assert "sales: a.csv is refused" in said.stderr
    assert "loopline cycle proceed corner.returns-" in said.stderr
    shown = world.json("cycle", "show", "returns")
    name, since = shown["cycle"]["cycle_id"], shown["holds"][0]["since"]
    assert shown["holds"] == [
        {"since": since, "reasons": ["sales: a.csv is refused"], "until": None, "ended_by": "", "ending": ""}
    ]
    assert "is held since" in shown["waits"]["what"]
    assert f"loopline cycle proceed {name}" in shown["waits"]["fix"]
    assert world.run("cycle", "proceed", "returns", "--by", "ada", "--reason", "a test file").exit_code == 0
    shown = world.json("cycle", "show", name)
    assert "held since" not in shown["waits"]["what"]
    (hold,) = shown["holds"]
    assert (hold["ended_by"], hold["ending"]) == ("ada", "a test file")
    assert hold["until"] >= since
    assert [one["kind"] for one in shown["entries"]] == ["cycle.opened", "cycle.doubted", "cycle.went_on"]
    assert "ended by ada: a test file" in world.run("cycle", "show", name).stdout


def test_promoted_is_said_when_an_endpoint_answers(world, tmp_path):
    """The ledger has promoted it; until the worker has loaded it, and where it cannot, nobody is told so."""
    world.roll_out("first")
    with closing(Platform.open()) as platform:
        platform.environment.bindings["serving"] = LocalServing(root=str(tmp_path), port=1)
        (cycle,) = cycles.cycles(platform.ledger, REF)
        worker = Worker(tmp_path, "w")
        assert standing(platform, cycle).state == "deploying"
        assert world.json("cycle", "show", "returns")["answers"] == {"since": None, "awaited": True}
        assert "not yet: its endpoint loads it" in world.run("cycle", "show", "returns").stdout
        worker.report(REF.dotted, ObservedState(0, ready=False, problem="no space left"))
        broken = standing(platform, cycle)
        assert (broken.state, broken.settled) == ("deploying", True)
        assert broken.sentence.endswith("its endpoint does not: no space left")
        worker.report(REF.dotted, ObservedState(1, ready=True))
        assert standing(platform, cycle).state == "promoted"
        watching.watch(platform, "corner", deployments.deployments(platform.ledger, "corner").values(), time.time())
        worker.leave()
    assert world.json("cycle", "show", cycle.cycle_id)["answers"]["since"].startswith("2011-03-01T12:00")
    assert "not yet" not in world.run("cycle", "show", "returns").stdout


def test_waiting_gives_up(world):
    """Where nothing runs the wait ends after its time, and says what to look at."""
    said = world.json("cycle", "start", "returns", "--reason", "try", "--wait", "--timeout-seconds", "0", code=1)
    assert said["error"] == "StoreUnavailable"
    assert "loopline up" in said["fix"]
