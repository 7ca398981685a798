"""From a key to packages that are verified, by commands."""

from __future__ import annotations

import pytest


@pytest.fixture
def signing(world):
    """Make a key, and write what the command prints into the environment file."""
    told = world.json("signing", "init", "--name", "training")
    text = world.run("signing", "init", "--name", "another").stdout
    assert "signing:\n  key: " in text
    block = f"signing:\n  key: {told['key']}\n  trainers: {{training: {{key: {told['public_key']}}}}}\n"
    world.say(block)
    return world


def test_a_key_is_made_once(world):
    """For its owner's eyes only; nothing of it is printed."""
    told = world.json("signing", "init", "--name", "training")
    key = world.home / "signing/training"
    assert key.stat().st_mode & 0o777 == 0o600
    assert told["public_key"] == (world.home / "signing/training.pub").read_text().strip()
    assert key.read_text().strip() not in world.run("signing", "init", "--name", "more").output
    assert "is there already" in world.json("signing", "init", "--name", "training", code=1)["problem"]


def test_versions_are_verified_and_signed_by_hand(signing):
    """One of before is not signed; signed, it is; changed, its file is named; the record says who signed."""
    signing.open_cycle("first")
    found = signing.json("signing", "verify", "returns", code=1)
    assert found["versions"][0]["problem"].endswith("its package is refused: it is not signed")
    assert "training" in signing.run("signing", "sign", "returns", "1", "--reason", "I trained it myself").stdout
    found = signing.json("signing", "verify", "returns")
    assert (found["well"], found["versions"][0]["trainer"]) == (True, "training")
    [entry] = signing.json("audit", "list", "--what", "package.signed")["entries"]
    assert (entry["who"], entry["version"], entry["reason"]) == ("alice", "1", "I trained it myself")
    signing.home.parent.joinpath("registry/corner.returns/1/manifest.json").write_text("[]")
    text = signing.run("signing", "verify", "returns", "1").stdout
    assert "manifest.json is not what was signed" in text


def test_where_nothing_is_signed(world):
    """Both commands say how it is begun."""
    world.open_cycle("first")
    for command in (("verify", "returns"), ("sign", "returns", "1", "--reason", "why")):
        assert "signing" in world.json("signing", *command, code=1)["fix"]


def test_a_key_that_is_none_is_told_before_anything_runs(world):
    """With the trainer's name."""
    world.say("signing: {trainers: {it: {key: a+b+c}}}\n")
    assert "the public key of trainer 'it' is none" in world.run("validate", "corner").output
