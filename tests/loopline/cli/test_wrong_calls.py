"""Wrong calls: each answer names what is wrong with the call, and a next call that works."""

from __future__ import annotations


def test_a_cycle_that_nobody_knows(world):
    """It may be a wrong id or a model's wrong name: the answer says both, and which cycles are open."""
    said = world.json("cycle", "close", "corner.returns-2011-nope", "--reason", "over", code=1)
    assert said["problem"] == "no cycle and no model is called 'corner.returns-2011-nope'"
    assert said["fix"] == "no cycle is open: 'loopline cycle list MODEL' shows the ids of a model's closed ones"
    name = world.json("cycle", "start", "returns", "--reason", "new season")["cycle"]
    for command in ("close", "proceed"):
        said = world.json("cycle", command, "refunds", "--reason", "over", code=1)
        assert said["fix"] == f"use the id of an open cycle: {name}"
    world.run("cycle", "close", name, "--reason", "over")
    said = world.json("cycle", "close", "returns", "--reason", "over", code=1)
    assert said["problem"] == "corner/returns has no open cycle"


def test_a_version_that_was_never_judged(world):
    """The answer names the versions that were; where there is none, how to get one."""
    for call in (("gate", "show"), ("gate", "override", "--gate", "g", "--by", "ada", "--reason", "r")):
        said = world.json(*call, "returns", "--version", "1", code=1)
        assert said["problem"] == "version 1 of corner/returns was never judged by its gates"
        assert said["fix"] == (
            "no version was judged yet: train one with 'loopline cycle start corner/returns', its gates judge it after"
        )
    version = world.roll_out("first")
    for call in (("gate", "show"), ("gate", "override", "--gate", "g", "--by", "ada", "--reason", "r")):
        said = world.json(*call, "returns", "--version", "99", code=1)
        assert said["problem"] == "version 99 of corner/returns was never judged by its gates"
        assert said["fix"] == f"use a version that was judged: {version}"


def test_a_source_that_is_not_there(world):
    """What was written is right in form: the answer says which part of it is unknown, and what there is."""
    said = world.json("arrivals", "list", "corner/sale", code=1)
    assert (said["problem"], said["fix"]) == ("team corner has no source 'sale'", "use one of corner/sales")
    said = world.json("arrivals", "list", "corne/sales", code=1)
    assert said["problem"] == "no team 'corne' is installed"
    assert "corner" in said["fix"]
    said = world.json("arrivals", "list", "sale", code=1)
    assert said["problem"] == "no team has a source 'sale'"
    assert "corner/sales" in said["fix"]
    world.break_team()
    assert world.json("arrivals", "list", "corner/sales", code=1)["error"] == "InvalidSpec"


def test_a_folder_that_is_not_there(world, tmp_path):
    """That it is not there is another mistake than that no template made it."""
    said = world.json("new", "model", "churned", "--team", str(tmp_path / "nowhere"), code=1)
    assert said["problem"] == f"there is no folder {tmp_path / 'nowhere'}"
    assert "loopline new team" in said["fix"]
    assert world.json("update", str(tmp_path / "nowhere"), code=1)["problem"] == said["problem"]
    (tmp_path / "empty").mkdir()
    said = world.json("new", "model", "churned", "--team", str(tmp_path / "empty"), code=1)
    assert "was not made by 'loopline new team'" in said["problem"]
