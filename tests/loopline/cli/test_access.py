"""Roles for a while: asked for, granted by another, ended by the clock or by somebody, and all of it in the record."""

from __future__ import annotations

import time

import pytest

from loopline.platform_core.identity.caller import Caller

ROLES = """
teams: {corner: {owner: [ana, ben]}}
platform: {platform_admin: [root]}
"""
SECOND = 1 / 3600
FREEZE = ("freeze", "returns", "--reason", "a sale", "--by")


@pytest.fixture
def guarded(world):
    """Let the environment say who may decide."""
    (world.environment.parent / "roles.yaml").write_text(ROLES)
    world.say("access: {roles: roles.yaml}\n")
    return world


def recorded(world) -> set[tuple[str, str]]:
    """Return what the record says, and of whom."""
    return {(entry["what"], entry["who"]) for entry in world.json("audit", "list")["entries"]}


def test_a_role_is_asked_for_granted_and_taken_back(guarded) -> None:
    """Until it is granted it is none, and no more once it was taken back; the record names all three."""
    denied = guarded.json(*FREEZE, "zed", code=1)
    assert "for some hours by 'loopline access request corner/operator'; who may now" in denied["fix"]
    asked = guarded.json("access", "request", "corner/operator", "--reason", "on call", "--by", "zed")
    number = str(asked["request"]["number"])
    assert asked["who_may_grant"] == ["ana", "ben", "root"]
    assert guarded.json(*FREEZE, "zed", code=1)["error"] == "Denied"
    granted = guarded.json("access", "grant", number, "--by", "ben")
    assert (granted["person"], granted["by"]) == ("zed", "ben")
    assert guarded.json("policy", "why", "zed", "freeze", "model", "corner/returns")["allowed"]
    assert guarded.json(*FREEZE, "zed")["frozen"]
    promote = ("model", "promote", "returns", "--version", "1", "--reason", "x", "--by", "zed")
    assert guarded.json(*promote, code=1)["error"] == "Denied"
    assert guarded.json("access", "end", number, "--by", "zed", code=1)["error"] == "Denied"
    assert guarded.json("access", "end", number, "--by", "ana")["ended_by"] == "ana"
    assert guarded.json("thaw", "returns", "--by", "zed", code=1)["error"] == "Denied"
    (one,) = guarded.json("access", "list")["requests"]
    assert (one["state"], one["by"], one["ended_by"]) == ("ended", "ben", "ana")
    assert {("access.requested", "zed"), ("access.granted", "ben"), ("access.ended", "ana")} <= recorded(guarded)


def test_who_may_grant_it_is_never_who_asks(guarded, monkeypatch) -> None:
    """However the name is written; and where a provider tells of groups, those of the file are named too."""
    roles = guarded.environment.parent / "roles.yaml"
    roles.write_text("groups: {leads: [cy]}\n" + ROLES.replace("[ana, ben]", "[ana, ben, leads]"))
    ask = ("access", "request", "corner/operator", "--reason", "on call")
    assert guarded.json(*ask, "--by", "Ana")["who_may_grant"] == ["ben", "cy", "root"]
    guarded.say("sign_in: {issuer: 'http://127.0.0.1:9', client_id: portal, audience: portal}\n")
    monkeypatch.setattr("loopline.sign_in.command.caller", lambda _: Caller("BEN"))
    assert guarded.json(*ask)["who_may_grant"] == ["ana", "cy", "root", "members of leads"]


def test_it_is_refused_with_a_reason(guarded) -> None:
    """By who may grant it; what is refused is granted no more, and may be asked for again."""
    ask = ("access", "request", "corner/operator", "--reason", "on call", "--by", "zed")
    number = str(guarded.json(*ask)["request"]["number"])
    guarded.json("access", "refuse", number, "--by", "ana", code=2)  # without a reason
    assert guarded.json("access", "refuse", number, "--reason", "x", "--by", "zed", code=1)["error"] == "Denied"
    refused = guarded.json("access", "refuse", number, "--reason", "cy is on call", "--by", "ana")
    assert (refused["refused_by"], refused["answer"]) == ("ana", "cy is on call")
    for command in ("grant", "refuse", "end"):
        assert "refused" in guarded.json("access", command, number, "--reason", "x", "--by", "ben", code=1)["problem"]
    assert guarded.json(*ask)["request"]["number"] > int(number)
    states = [one["state"] for one in guarded.json("access", "list")["requests"]]
    assert states == ["asked", "refused"]
    assert ("access.refused", "ana") in recorded(guarded)


def test_it_ends_by_itself(guarded) -> None:
    """Whoever had it is asked like anybody else then."""
    asked = guarded.json("access", "request", "corner/operator", "--hours", f"{SECOND}", "--reason", "x", "--by", "zed")
    guarded.json("access", "grant", str(asked["request"]["number"]), "--by", "ana")
    until = time.monotonic() + 1
    assert guarded.json("access", "list")["requests"][0]["state"] in {"granted", "ended"}
    time.sleep(max(0.0, until - time.monotonic()))  # it ends by the wall's clock
    assert guarded.json(*FREEZE, "zed", code=1)["error"] == "Denied"
    assert guarded.json("access", "list")["requests"][0]["state"] == "ended"
    again = guarded.json("access", "grant", str(asked["request"]["number"]), "--by", "ana", code=1)
    assert "is ended" in again["problem"]


def test_nobody_grants_themselves_anything_nor_more_than_they_may(guarded) -> None:
    """Owners grant in their team, and none of them what holds in all teams."""
    own = guarded.json("access", "request", "corner/service", "--reason", "x", "--by", "ana")["request"]["number"]
    assert "cannot grant it" in guarded.json("access", "grant", str(own), "--by", "ana", code=1)["problem"]
    assert guarded.json("access", "grant", str(own), "--by", "zed", code=1)["error"] == "Denied"
    every = guarded.json("access", "request", "platform/platform_admin", "--reason", "x", "--by", "ben")
    number = str(every["request"]["number"])
    assert every["who_may_grant"] == ["root"]
    assert guarded.json("access", "grant", number, "--by", "ana", code=1)["error"] == "Denied"
    owner = guarded.json("access", "request", "platform/owner", "--reason", "x", "--by", "ana")["request"]["number"]
    guarded.json("access", "grant", str(owner), "--by", "root")
    assert "roles-in-all-teams" in guarded.json("access", "grant", number, "--by", "ana", code=1)["problem"]


def test_what_cannot_be_asked_for_is_said(guarded) -> None:
    """No such role, too long, twice the same, and a number that nobody asked by."""
    ask = ("access", "request")
    for role in ("corner", "corner/king", "corner/platform_admin", "loop/owner", "/owner"):
        assert "is no role" in guarded.json(*ask, role, "--reason", "x", code=1)["problem"]
    for hours in ("0", "-1", "1000", "nan"):
        said = guarded.json(*ask, "corner/viewer", "--hours", hours, "--reason", "x", code=1)
        assert "nobody gets a role for" in said["problem"]
    guarded.json(*ask, "corner/viewer", "--reason", "x", "--by", "zed")
    assert "already" in guarded.json(*ask, "corner/viewer", "--reason", "x", "--by", "zed", code=1)["problem"]
    said = guarded.json("access", "grant", "4711", "--by", "ana", code=1)
    assert "no role was asked for as number 4711" in said["problem"]


def test_without_access_there_is_nothing_to_ask_for(world) -> None:
    """Everybody may decide there."""
    said = world.json("access", "request", "corner/owner", "--reason", "x", code=1)
    assert "says nothing of access" in said["problem"]
