"""An experiment from the command line: begun, shown, looked at, stopped."""

from __future__ import annotations

START = ("experiment", "start", "returns", "--reason", "is it surer?", "--outcome", "log_loss", "--effect", "0.02")


def test_it_is_begun_and_stopped(world) -> None:
    """With a metric of the kind nothing has to be declared; what is not there yet is said."""
    world.roll_out("first")
    version, _ = world.open_cycle("second")
    assert world.json("experiment", "plan", "returns", "sales", code=1)["error"] == "NotFound"
    assert "100 are needed" in world.json("experiment", "plan", "returns", *START[5:], code=1)["problem"]
    begun = world.json(*START, "--version", version, "--planned", "900", "--percent", "30")
    assert (begun["experiment"], begun["stable"], begun["settled"]["percent"]) == ("log_loss", "1", 30)
    assert world.json("rollout", "list")["rollouts"][0]["percent"] == 30
    looked = world.json("experiment", "look", "returns")["looks"][0]
    assert (looked["difference"], looked["candidate"]["met"]) == (None, 0)
    assert "no row of 'sales' has landed" in looked["said"]
    shown = world.run("experiment", "show", "returns").stdout
    assert f"log_loss: version {version} beside 1, 30 percent" in shown
    assert "0 of 0" in shown
    world.run("experiment", "stop", "returns", "--reason", "the season is over")
    assert world.json("rollout", "list")["rollouts"] == []
    assert world.json("experiment", "show", "returns")["experiments"][0]["end"]["verdict"] == "stopped by alice"
    assert world.json("experiment", "look", "returns", code=1)["error"] == "NotFound"
    told = world.run("history", "returns").stdout
    assert f"experiment log_loss started by alice: version {version} beside 1, 30 percent of the entities" in told
    assert "ended, stopped by alice; it is taken back: the season is over" in told
