"""``loopline model refresh``: endpoints are asked for as the environment file says now."""

from __future__ import annotations

import shutil


def elsewhere(world) -> None:
    """Let the environment file name another place for endpoints than the one that was asked so far."""
    binding = f"serving: {{vendor: local, root: '{world.home}/serving', port: 8080}}"
    world.environment.write_text(world.environment.read_text().replace("serving: {vendor: kept}", binding))


def test_an_endpoint_is_asked_for_as_the_file_says_now(world) -> None:
    """By name, and all of a team at once; versions stay as they are."""
    world.roll_out("first")
    before = world.json("model", "status", "returns")["models"][0]["stable"]
    elsewhere(world)
    for name in (("returns",), ("--team", "corner")):
        assert world.json("model", "refresh", *name) == {"asked": ["corner/returns"], "failed": {}}
        states = [file for file in world.home.joinpath("serving").rglob("*.json") if "returns" in file.name]
        assert states
        for file in states:
            file.unlink()
    assert world.json("model", "status", "returns")["models"][0]["stable"] == before


def test_a_package_that_is_lost_is_fetched_anew(world) -> None:
    """As on another machine; a model that was never deployed is none to ask for."""
    assert world.json("model", "refresh", "returns", code=1)["error"] == "NotFound"
    world.roll_out("first")
    shutil.rmtree(world.home / "packages")
    assert world.json("model", "refresh", "--team", "corner")["failed"] == {}
    assert list(world.home.joinpath("packages").rglob("manifest.json"))


def test_no_other_team_s_endpoints_are_asked_for(world) -> None:
    """Their image is another one, which their own code location knows; and something has to be named."""
    world.roll_out("first")
    assert world.json("model", "refresh", "--team", "other") == {"asked": [], "failed": {}}
    for named in ((), ("returns", "--team", "corner")):
        assert "name MODEL, or --team TEAM" in world.run("model", "refresh", *named).output


def test_another_image_is_asked_for_and_taken_back(world) -> None:
    """It is on trial beside the one before; taken back by a person, it is tried again when it is asked for again."""
    world.roll_out("first")
    assert status(world) == "loopline:1"
    text = world.environment.read_text()
    world.environment.write_text(text.replace("serving: {vendor: kept}", "serving: {vendor: kept, image: 'shop:2'}"))
    assert status(world) == "loopline:1; shop:2 is to follow"
    world.json("model", "refresh", "returns")
    assert status(world) == "shop:2 on trial beside loopline:1 (ready)"
    back = ("rollback", "returns", "--image", "--by", "ada", "--reason", "odd logs")
    assert world.json(*back) == {"model": "corner/returns", "image": "shop:2"}
    assert status(world) == "loopline:1; image shop:2 was taken back: odd logs"
    assert "image shop:2 is taken back to loopline:1 by ada: odd logs" in world.run("history", "returns").output
    assert "no new image of corner/returns is on trial" in world.json(*back, code=1)["problem"]
    world.json("model", "refresh", "--team", "corner")
    assert status(world) == "shop:2 on trial beside loopline:1 (ready)"


def status(world) -> str:
    """Return what the status says of the image."""
    lines = world.run("model", "status", "returns").output.splitlines()
    return next(line for line in lines if line.split()[:1] == ["image"]).split(maxsplit=1)[1]
