"""Commands about one model: status, history, rollback, freeze, gates, drill, drift."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from loopline.platform_core.contracts.serving import ObservedState
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.turn import start_rollout
from loopline.up import lock


def test_status_of_a_model_that_was_never_trained(world):
    """Before anything happened every part is there, and empty."""
    said = world.status()
    assert said["model"] == "corner/returns"
    assert said["stable"] is None
    assert said["quality"] == []
    assert "nothing is live" in world.run("model", "status", "corner/returns").stdout


def test_status_tells_versions_gates_and_rollout(world):
    """While a candidate takes its first step, status names both versions, the gates' figures and the percent."""
    world.roll_out("first", "second")
    said = world.status()
    assert (said["stable"]["version"], said["candidate"]["version"], said["percent"]) == ("1", "2", 50)
    assert said["rollout"]["state"] == "running"
    assert said["gates"]["readings"][0]["value"] == pytest.approx(0.7)
    assert said["cycle"]["state"] == "open"
    text = world.run("model", "status", "returns").stdout
    assert "version 2 for 50 %" in text
    assert "AtLeast(roc_auc)" in text


def test_trials_tell_what_a_search_tried_beside_its_baseline(world):
    """The best first, with what it is served by; a version that is not known is named."""
    trial = {"number": 3, "family": "trees", "params": {"rate": 0.125}, "score": 0.75, "seconds": 2.0, "weight": 1.0}
    poor = trial | {"number": 4, "family": "linear", "score": None, "weight": 0.0}
    details = {"metrics": {"roc_auc": 0.71}, "baseline_metrics": {"roc_auc": 0.5}, "leaderboard": [trial, poor]}
    world.record(Entry(REGISTERED, world.now, "corner", "returns", "c", "7", details=details))
    said = world.json("model", "trials", "returns", "--version", "7")
    assert (said["version"], said["leaderboard"][0]["params"]) == ("7", {"rate": 0.125})
    text = world.run("model", "trials", "returns").stdout
    assert "baseline" in text
    assert "rate=0.125" in text
    assert "ended early" in text
    assert "no version 9" in world.json("model", "trials", "returns", "--version", "9", code=1)["problem"]


def test_history_says_what_was_live_and_why(world):
    """At a time between two deployments the first one was live, with the reasons known then."""
    world.roll_out("first", "second")
    account = world.json("history", "returns", "--at", "2011-03-01T13:00")
    assert account["stable"]["version"] == "1"
    assert account["candidate"] is None
    assert any("drift first" in line for line in account["why"])
    assert not any("drift second" in line for line in account["why"])
    story = world.run("history", "returns").stdout
    assert "drift first" in story
    assert "drift second" in story


def test_what_is_only_looked_at_is_told_when_asked_for(world):
    """Windows of every day would hide what was decided; a time before the first deployment, or none, is refused."""
    world.roll_out("first")
    world.record(Entry("drift.day", world.now, "corner", "returns", reason="quiet that day"))
    assert "quiet that day" not in world.run("history", "returns").stdout
    assert "quiet that day" in world.run("history", "returns", "--all").stdout
    assert world.json("history", "returns", "--at", "2010-01-01", code=1)["error"] == "NotFound"
    assert "2011-03-01T12:00" in world.json("history", "returns", "--at", "yesterday", code=2)["problem"]


def test_rollback_takes_a_candidate_back(world):
    """One word ends the rollout that runs; the ledger names who did it."""
    world.roll_out("first", "second")
    said = world.json("rollback", "returns")
    assert (said["stable"]["version"], said["candidate"], said["percent"]) == ("1", None, 0)
    entries = world.json("history", "returns")["entries"]
    assert any(e["entry"]["actor"] == "alice" and e["entry"]["kind"] == "rollout.rolled_back" for e in entries)


def test_rollback_waits_for_the_endpoint_and_not_for_the_registry(world):
    """Where Loopline runs it shows the change there: its client takes most of the command's time to load."""
    world.roll_out("first", "second")
    with lock.only_one(world.home):
        lock.announce(world.home, {"ports": {"inference": 1}, "ui": ""})
        assert world.json("rollback", "returns")["answers"] is True
    ref = ModelRef("corner", "returns")
    with closing(Platform.open()) as platform:
        assert (
            platform.serving.observe(ref.dotted).generation == deployments.deployment(platform.ledger, ref).generation
        )
        assert [one.aliases for one in platform.registry.versions(ref.dotted)] == [("champion",), ("candidate",)]
        assert deployments.unfinished(platform.ledger, "corner") == [ref]


def test_rollback_says_that_the_endpoint_does_not_answer_with_it(world, monkeypatch):
    """What is asked for is not yet so: one that is away, or in trouble, is told apart."""
    world.roll_out("first", "second")
    away = ObservedState(1, ready=False, problem="no server runs")
    monkeypatch.setattr("corner_vendors.KeptServing.observe", lambda *_: away)
    said = world.run("rollback", "returns")
    assert "does not answer so yet: see 'loopline model status corner/returns'" in said.stdout


@pytest.mark.parametrize("output", ["json", "text"])
def test_rollback_of_the_first_rollout_says_that_nothing_is_live(world, output):
    """A frozen model's first version waits at 0 percent, and can be taken back before anybody met it."""
    from corner_shop import returns

    version, cycle = world.open_cycle("first")
    world.json("freeze", "returns", "--reason", "stock taking")
    platform = Platform.open()
    start_rollout(platform, ModelRef("corner", "returns"), returns, version, cycle, world.now)
    platform.close()
    said = world.run("rollback", "returns", "--output", output)
    assert said.exit_code == 0
    if output == "text":
        assert said.stdout == "corner/returns is taken back; nothing is live\n"
    else:
        back = json.loads(said.stdout)
        assert (back["stable"], back["candidate"], back["percent"], back["generation"]) == (None, None, 0, 0)
    assert world.json("rollback", "returns", code=1)["error"] == "NotFound"


def test_rollback_works_while_the_team_does_not_load(world):
    """Whoever is on call takes a model back even when its team's package is broken."""
    world.roll_out("first", "second")
    world.break_team()
    assert world.json("drill", "corner/returns", "--distort", "amount=2", code=1)["error"] == "InvalidSpec"
    assert world.json("rollback", "corner/returns")["stable"]["version"] == "1"
    assert world.json("rollback", "elsewhere", code=1)["error"] == "NotFound"


def test_freeze_stops_and_thaw_frees(world):
    """A frozen model opens no cycle; status says who froze it. Without a model everything is frozen."""
    world.json("freeze", "returns", "--reason", "stock taking")
    said = world.json("drill", "returns", "--distort", "amount=100", code=1)
    assert said["error"] == "Refused"
    assert "stock taking" in said["problem"]
    assert world.status()["frozen"]["by"] == "alice"
    world.json("thaw", "returns")
    assert world.status()["frozen"] is None
    assert world.json("freeze", "--reason", "holidays", "--by", "bob")["model"] is None
    assert world.status()["frozen"]["by"] == "bob"


def test_drill_opens_a_cycle_with_the_mistake(world):
    """A drill is a cycle that multiplies columns of its training rows, and says so in its cause; it wants a factor."""
    assert world.run("drill", "returns", "--distort", "amount").exit_code == 2
    said = world.json("drill", "returns", "--distort", "amount=100")
    assert said["drill"] == {"amount": 100.0}
    cycle = world.status()["cycle"]
    assert cycle["cycle_id"] == said["cycle"]
    assert cycle["drill"] == {"amount": 100.0}
    assert cycle["cause"] == "drill by alice: amount=100"


def test_gate_show_and_override(world):
    """A failed gate passes in a person's name, and the verdict keeps it; nobody overrides one without signing."""
    world.open_cycle("weak", passed=False)
    assert world.json("gate", "show", "returns")["passed"] is False
    signed = ("--by", "carol", "--reason", "known season")
    wrong = world.json("gate", "override", "returns", "--version", "1", "--gate", "Nope", *signed, code=1)
    assert wrong["error"] == "NotFound"
    said = world.json("gate", "override", "returns", "--version", "1", "--gate", "AtLeast(roc_auc)", *signed)
    assert said["passed"] is True
    assert said["readings"][0]["overridden_by"] == "carol"
    assert "carol" in world.run("gate", "show", "returns").stdout
    unsigned = world.run("gate", "override", "returns", "--version", "1", "--gate", "x", "--reason", "y")
    assert unsigned.exit_code == 2
    assert "--by" in unsigned.stderr


OVERRIDE = ("gate", "override", "corner/returns", "--version", "1", "--gate", "AtLeast(roc_auc)", "--by", "carol")


def test_nothing_is_overridden_for_a_rollout_that_cannot_be(world):
    """While the team does not load --deploy is refused before the gate is; without it the gate is overridden."""
    world.open_cycle("weak", passed=False)
    world.break_team()
    assert world.json(*OVERRIDE, "--reason", "known season", "--deploy", code=1)["error"] == "InvalidSpec"
    assert world.json("gate", "show", "corner/returns")["passed"] is False
    assert world.json(*OVERRIDE, "--reason", "known season")["passed"] is True


def test_an_override_whose_rollout_fails_says_that_it_was_made(world):
    """The problem is the rollout's alone; its kind and its fix stay."""
    world.open_cycle("weak", passed=False)
    world.bind("serving: {vendor: kept}", "serving: {vendor: nowhere}")
    said = world.json(*OVERRIDE, "--reason", "known season", "--deploy", code=1)
    assert said["error"] == "InvalidEnvironment"
    assert said["problem"].startswith("the gate is overridden, but the start of the rollout failed: ")
    assert world.json("gate", "show", "corner/returns")["passed"] is True


def test_an_overridden_version_goes_live(world):
    """With --deploy the rollout starts once every gate has passed; the cycle that was rejected is promoted."""
    world.open_cycle("weak", passed=False)
    world.json(*OVERRIDE, "--reason", "known season", "--deploy")
    status = world.status()
    assert (status["stable"]["version"], status["cycle"]["state"]) == ("1", "promoted")


def test_drift_simulate_tells_what_would_alarm(world):
    """A column in cents alarms, the column as it is does not, and nothing is written.

    A category is not shifted, an unknown column is named, and a move must be given.
    """
    world.roll_out("first")
    before = world.json("history", "returns")["entries"]
    said = world.json("drift", "simulate", "returns", "--column", "amount", "--factor", "100")
    assert said["would_alarm"]
    assert said["drifted"] == ["amount"]
    assert said["rows"] == 300
    assert not said["before"]["amount"]["drifted"]
    assert said["after"]["amount"]["score"] > 10
    nudge = ("drift", "simulate", "returns", "--column", "amount", "--shift", "0.01")
    quiet = world.json(*nudge)
    assert not quiet["would_alarm"]
    assert (quiet["alarms_anyway"], quiet["added"]) == (False, [])
    assert not world.json(*nudge, "--training-rows")["would_alarm"]
    assert world.json("history", "returns")["entries"] == before
    simulate = ("drift", "simulate", "returns", "--column")
    assert world.json(*simulate, "country", "--shift", "1", code=1)["error"] == "Unsupported"
    assert world.json(*simulate, "weight", "--shift", "1", code=1)["fix"] == "use one of amount"
    assert world.json(*simulate, "amount", code=2)["error"] == "Usage"


def test_a_rollout_is_listed_held_and_resumed(world):
    """A person keeps it at its percent, by name and with a reason, and lets it go on; the ledger has both."""
    assert "no rollout is under way" in world.run("rollout", "list").stdout
    world.roll_out("first", "second")
    (listed,) = world.json("rollout", "list")["rollouts"]
    expected = {"model": "corner/returns", "version": "2", "state": "running", "percent": 50}
    assert {name: listed[name] for name in expected} == expected
    assert world.run("rollout", "hold", "returns").exit_code == 2
    held = world.json("rollout", "hold", "returns", "--reason", "the fair is on")
    assert (held["state"], held["by"]) == ("held", "alice")
    assert "held" in world.run("rollout", "list").stdout
    assert world.json("rollout", "hold", "returns", "--reason", "again", code=1)["error"] == "NotFound"
    assert world.json("rollout", "resume", "returns")["state"] == "running"
    story = world.run("history", "returns").stdout
    assert "rollout of version 2 held by alice: the fair is on" in story
    assert "resumed by alice" in story
