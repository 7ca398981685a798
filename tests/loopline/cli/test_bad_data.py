"""What a person does about bad data: leave a window out, let a held cycle go on, or end a cycle."""

from __future__ import annotations

from loopline.platform_core import alarms
from loopline.platform_core.alarms import Alarm
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.platform import Platform

REF = ModelRef("corner", "returns")
WINDOW = ("--from", "2011-02-01", "--to", "2011-02-08")


def test_a_window_is_left_out_listed_and_taken_back(world):
    """With who and why; what no longer stands cannot be released."""
    said = world.json("data", "quarantine", "corner/sales", *WINDOW, "--reason", "prices in cents")
    assert (said["source"], said["by"], said["reason"]) == ("corner/sales", "alice", "prices in cents")
    assert (said["from"], said["to"]) == ("2011-02-01T00:00:00+00:00", "2011-02-08T00:00:00+00:00")
    assert world.json("data", "list")["quarantines"] == world.json("data", "list", "corner/sales")["quarantines"]
    assert "prices in cents" in world.run("data", "list").stdout
    assert "learnt from again" in world.run("data", "release", said["quarantine"], "--reason", "delivered again").stdout
    assert world.json("data", "release", said["quarantine"], "--reason", "twice", code=1)["error"] == "NotFound"
    assert "leaves nothing out" in world.run("data", "list").stdout


def test_what_is_no_window_or_no_source_is_refused(world):
    """Before anything is written."""
    turned = ("--from", "2011-02-08", "--to", "2011-02-01", "--reason", "why")
    assert "no window of time" in world.json("data", "quarantine", "corner/sales", *turned, code=1)["problem"]
    assert world.json("data", "quarantine", "purchases", *WINDOW, "--reason", "why", code=1)["error"] == "NotFound"
    assert world.json("data", "list")["quarantines"] == []


def test_an_open_cycle_is_ended_by_a_person(world):
    """Another one may open at once; its alarm is over, and the story says who ended it."""
    first = world.json("cycle", "start", "returns", "--reason", "new season")["cycle"]
    platform = Platform.open()
    alarms.raise_alarm(platform, Alarm("held:corner/returns", "warning", "held", "look", REF))
    said = world.json("cycle", "close", "returns", "--reason", "the wrong file")
    assert (said["cycle"], said["state"], said["verdict"]) == (first, "failed", "closed by alice: the wrong file")
    assert alarms.standing(platform.ledger) == []
    platform.close()
    assert "the wrong file" in world.run("history", "returns").stdout
    again = world.json("cycle", "close", first, "--reason", "again", code=1)["problem"]
    assert again.endswith("closed already: failed")
    assert "no open cycle" in world.json("cycle", "close", "returns", "--reason", "again", code=1)["problem"]
    assert world.json("cycle", "start", "returns", "--reason", "the right file")["state"] == "open"


def test_a_cycle_that_rolls_out_is_not_closed_but_taken_back(world):
    """The refusal names the command that does."""
    world.roll_out("one", "two")
    cycle = world.json("cycle", "list", "returns")["cycles"][-1]["cycle_id"]
    said = world.json("cycle", "close", cycle, "--reason", "no", code=1)
    assert "is rolling out" in said["problem"]
    assert "loopline rollback corner/returns" in said["fix"]


def test_a_held_cycle_is_let_go_on_by_name(world):
    """Once; a cycle that is over cannot be."""
    cycle = world.json("cycle", "start", "returns", "--reason", "new season")["cycle"]
    assert world.json("cycle", "proceed", "returns", "--reason", "the sale is real")["cycle"] == cycle
    (entry,) = world.entries("cycle.went_on")
    assert (entry.actor, entry.reason, entry.cycle) == ("alice", "the sale is real", cycle)
    world.json("cycle", "close", cycle, "--reason", "enough")
    assert world.json("cycle", "proceed", cycle, "--reason", "late", code=1)["error"] == "Refused"
