"""Desired states that are signed: the kit, and what whoever can write to the store tries with that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from loopline.platform_core import environment
from loopline.platform_core.audit import keys
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.runtime import states as on_disk
from loopline.platform_core.testing.state_store import package
from loopline.relay.states import StateRelay
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.seals import Seal
from loopline.resources.object_store.serving import ObjectStoreServing
from loopline.resources.object_store.states import ObjectStates
from tests.resources.object_store.altering import ObjectStatesKit

KEY, STRANGER = keys.new("platform"), keys.new("platform")
SIGNING, LOOKING = Seal(KEY.text), Seal("", (KEY.verifying.text,))


@pytest.fixture
def store(objects: Objects) -> ObjectStates:
    """The side of whoever deploys."""
    return ObjectStates(objects, SIGNING)


@pytest.fixture
def feed(objects: Objects) -> ObjectStates:
    """The servers' side."""
    return ObjectStates(objects, LOOKING)


@pytest.fixture
def relay(objects: Objects, tmp_path: Path) -> StateRelay:
    """The side of a server that knows who signs."""
    return StateRelay(tmp_path / "server", "one", ObjectStates(objects, LOOKING))


class TestSignedStates(ObjectStatesKit):
    """They keep every promise that those without a signature do."""


def put(objects: Objects, model: str, content: bytes) -> None:
    """Write as somebody who has the store's credentials, and say that something changed."""
    objects.write(f"desired/{model}.json", content)
    objects.write("changed", content[-20:] + model.encode())


def read(objects: Objects, model: str = "m") -> bytes:
    """Read what is asked."""
    found = objects.read(f"desired/{model}.json")
    assert found
    return found[0]


def of(relay: StateRelay, model: str = "m") -> tuple[int | None, str]:
    """Let a server look once; returns the generation that it goes by, and what it says is wrong."""
    relay._brought_at = float("-inf")
    relay.step()
    held = on_disk.desired(relay._root, model)
    return (held.generation if held else None), relay._problems.get(model, "")


def unsigned(content: bytes, **changed: Any) -> bytes:
    """Take a state out of its signature, and change it."""
    held = json.loads(json.loads(content)["held"])
    return json.dumps({**held, "state": {**held["state"], **changed}}).encode()


def signed(content: bytes, key: keys.SigningKey, place: str) -> bytes:
    """Sign a state by another key."""
    state = json.loads(content)["state"]
    note = Seal(key.text).signed(place, state["model"], state["generation"], content)
    return msgspec.json.encode({"held": content.decode(), "signed": note})


def test_what_nobody_signed_who_may_is_not_taken(objects: Objects, store: ObjectStates, relay: StateRelay, tmp_path):
    """Without a signature, by a stranger's, with a byte changed: the server goes on, says so, and heals when asked."""
    store.ask(DesiredState("m", 1, package(tmp_path, "1")))
    assert of(relay) == (1, "")
    true = read(objects)
    higher = unsigned(true, generation=9)
    changed = json.loads(true)
    for content, said in (
        (unsigned(true), "signed by nobody"),
        (higher, "signed by nobody"),
        (signed(higher, STRANGER, objects.url), "who may not ask"),
        (json.dumps(changed | {"held": higher.decode()}).encode(), "signature of something else"),
        (json.dumps(changed | {"held": changed["held"].replace(":0", ":5", 1)}).encode(), "something else"),
        (json.dumps(changed | {"signed": changed["signed"].replace("at 2", "at 1")}).encode(), "who may not ask"),
        (b"{}", "no desired state"),
    ):
        put(objects, "m", content)
        generation, problem = of(relay)
        assert generation == 1
        assert said in problem, (content, problem)
        assert relay._report().models["m"].problem == problem
    assert store.wanted("m") is None
    store.ask(DesiredState("m", 2, package(tmp_path, "2")))  # also where a forged one said that it is the ninth
    assert of(relay) == (2, "")


def test_a_signed_state_counts_for_its_model_and_place_alone(objects: Objects, store, relay, s3_server, tmp_path):
    """Neither another model's, nor that of another environment with the same key."""
    store.ask(DesiredState("m", 1, package(tmp_path, "1")))
    elsewhere = Objects(s3_server.place(), s3_server.options)
    ObjectStates(elsewhere, SIGNING).ask(DesiredState("m", 7, package(tmp_path, "7")))
    ObjectStates(objects, SIGNING).ask(DesiredState("n", 8, package(tmp_path, "8")))
    for content, said in ((read(elsewhere), "something else"), (read(objects, "n"), "a desired state of n")):
        put(objects, "m", content)
        _, problem = of(relay)
        assert said in problem


def test_an_older_signed_state_is_not_taken_and_told(objects: Objects, store, relay, tmp_path):
    """Who kept what was asked once cannot bring it back to a server that knows better; the next one is taken."""
    store.ask(DesiredState("m", 1, package(tmp_path, "1")))
    of(relay)
    old = read(objects)
    store.ask(DesiredState("m", 2, package(tmp_path, "2")))
    assert of(relay) == (2, "")
    put(objects, "m", old)
    generation, problem = of(relay)
    assert generation == 2
    assert problem.startswith("generation 1 is asked for, and 2 was before: the server goes on with that")
    again = StateRelay(relay._root, "one", ObjectStates(objects, LOOKING))  # started anew, on the same disk
    assert of(again)[0] == 2
    assert again._problems["m"] == problem
    store.ask(DesiredState("m", 3, package(tmp_path, "3")))
    assert of(again) == (3, "")


def test_the_same_state_is_not_written_twice(objects: Objects, store: ObjectStates, tmp_path):
    """Though the time in its signature would be another one."""
    state = DesiredState("m", 1, package(tmp_path, "1"))
    store.ask(state)
    first = objects.read("desired/m.json")
    store.ask(state)
    assert objects.read("desired/m.json") == first
    assert store.wanted("m") == state


def test_a_signer_is_one_line():
    """Of two in one place the second would sign, and be refused as a stranger."""
    signer = f"{KEY.verifying.text}\n{STRANGER.verifying.text}"
    with pytest.raises(InvalidEnvironment, match="state_signers is none, or not whole"):
        Seal("", (signer,)).hold("", "s3://x", "shop.returns", 1, b"")


def test_without_signers_nothing_is_looked_at(objects: Objects, store: ObjectStates, tmp_path):
    """A server that knows nobody takes signed states and others, as before."""
    store.ask(DesiredState("m", 1, package(tmp_path, "1")))
    ObjectStates(objects).ask(DesiredState("n", 1, package(tmp_path, "2")))
    asked = ObjectStates(objects).asked(tmp_path / "here")
    assert asked is not None
    assert (set(asked.states), asked.problems) == ({"m", "n"}, {})


def test_what_an_environment_file_says(tmp_path, monkeypatch):
    """The key is a secret that shows nowhere; one in clear is refused, and a line that is no key when it is used."""
    monkeypatch.setenv("STATES", KEY.text)
    file = tmp_path / "e.yaml"
    head = "bindings:\n  secrets: {vendor: environment_variables}\n  serving: {vendor: object_store, address: x, store: s3://b"
    file.write_text(f'{head}, state_key: "secret://STATES", state_signers: ["{KEY.verifying.text}"]}}\n')
    bound = environment.read(file, only=("serving",)).bindings["serving"]
    assert isinstance(bound, ObjectStoreServing)
    assert bound.seal == Seal(KEY.text, (KEY.verifying.text,))
    assert KEY.text not in repr(bound) + repr(bound.seal)
    file.write_text(f'{head}, state_key: "{KEY.text}"}}\n')
    with pytest.raises(InvalidEnvironment, match="in clear") as told:
        environment.read(file, only=("serving",))
    assert KEY.text not in str(told.value)
    broken = ObjectStoreServing(address="x", store="s3://b", state_key=SecretStr("x"))
    with pytest.raises(InvalidEnvironment, match="state_key"):
        broken.seal.signed("p", "m", 1, b"")
