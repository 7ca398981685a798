"""Who may decide at the command line: asked before anything is done, with four eyes where that is said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from loopline.cli import loopline
from loopline.cli.command import Command
from loopline.cli.deciding import DECIDING
from loopline.cli.lazy import LazyGroup
from loopline.platform_core.audit.origin import current
from loopline.platform_core.errors import Denied
from loopline.platform_core.policies.files import load
from loopline.platform_core.policies.question import ACTIONS

CORNER = Path(__file__).parents[1] / "corner"
ROLES = """
groups: {science: [ana, ben]}
teams: {corner: {owner: [science], operator: [cy], service: [ci]}}
platform: {platform_admin: [root], auditor: [eve]}
"""
OVERRIDE = ("gate", "override", "returns", "--gate", "AtLeast(roc_auc)", "--reason", "looked at it")
FAIRNESS = """
@id("judged-for-fairness") @grant("the team, with a FairAcross gate")
forbid (principal is Loop, action == Action::"start rollout", resource)
unless { context has judged && context.judged.contains("FairAcross(country)") };
"""


@pytest.fixture
def guarded(world, monkeypatch: pytest.MonkeyPatch):
    """Let the environment say who may decide; ana, an owner, is who this machine knows."""
    (world.environment.parent / "roles.yaml").write_text(ROLES)
    world.say("access: {roles: roles.yaml, policies: policies}\n")
    (world.environment.parent / "policies").mkdir()
    monkeypatch.setenv("LOOPLINE_USER", "ana")
    return world


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the team from a package of its own; gives its contract, which the test may change."""
    shutil.copytree(CORNER / "corner_shop", tmp_path / "shop" / "corner_shop")
    monkeypatch.syspath_prepend(str(tmp_path / "shop"))
    return tmp_path / "shop" / "corner_shop" / "contracts" / "sales.v1.yaml"


def commands(group: LazyGroup, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words by which it is called."""
    for name in group.where:
        one = group.get_command(click.Context(group), name)
        if isinstance(one, LazyGroup):
            yield from commands(one, f"{path}{name} ")
        elif one is not None:
            yield f"{path}{name}", one


def test_every_command_that_is_signed_is_asked() -> None:
    """Whatever names who decides is in the table, what is in it there is, and all run by the class that asks."""
    every = dict(commands(loopline))
    signed = {path for path, one in every.items() if "by" in {param.name for param in one.params}}
    assert signed <= set(DECIDING) <= set(every)
    assert all(isinstance(every[path], Command) for path in DECIDING)
    for path, deciding in DECIDING.items():
        names = {param.name for param in every[path].params}
        assert set(deciding.about) | ({deciding.environment} - {""}) <= names, path
        assert not isinstance(deciding.action, str) or deciding.action in ACTIONS, path


def test_without_access_everybody_decides_as_before(world) -> None:
    """Nothing is asked, and nothing is written."""
    assert world.json("freeze", "returns", "--reason", "x", "--by", "anybody")["frozen"]
    assert "says nothing of access" in world.json("policy", "why", "x", "open", "cycle", "a/b", code=1)["problem"]


def test_who_may_not_changes_nothing(guarded) -> None:
    """The denial names policy, role and who may; the owner does the same at once."""
    said = guarded.json("freeze", "returns", "--reason", "x", "--by", "zed", code=1)
    assert said["error"] == "Denied"
    assert said["problem"].startswith("zed may not freeze model of corner/returns: no policy permits it")
    assert "corner/operator may by policy team-operators-operate (roles.cedar:8)" in said["fix"]
    assert said["fix"].endswith("who may now: ana, ben, ci, cy, root")
    assert guarded.status()["frozen"] is None
    assert guarded.json("freeze", "--reason", "x", code=1)["problem"].startswith("ana may not freeze everything")
    assert guarded.json("freeze", "--reason", "x", "--by", "root")["frozen"]
    assert guarded.json("thaw", "--by", "root")["frozen"] is False
    assert guarded.json("freeze", "returns", "--reason", "x")["by"] == "ana"
    assert "auditors-decide-nothing" in guarded.json("thaw", "returns", "--by", "eve", code=1)["fix"]
    assert "corner/service" in guarded.json("thaw", "returns", "--by", "ci", code=1)["problem"]


def test_the_record_says_who_was_denied_and_by_which_policy_others_may(guarded) -> None:
    """Neither is told by the ledger alone: it knows what was done, and nothing of whoever tried."""
    assert guarded.run("freeze", "returns", "--reason", "x", "--by", "eve").exit_code == 1
    assert guarded.run("freeze", "returns", "--reason", "x", "--by", "cy").exit_code == 0
    told = {entry["who"]: entry for entry in guarded.json("audit", "list")["entries"]}
    denied, done = told["eve"], told["cy"]
    assert (denied["what"], denied["outcome"]) == ("attempt.denied", "denied")
    assert denied["subject"] == "freeze model of corner/returns"
    assert denied["policy"] == "auditors-decide-nothing"
    assert done["outcome"] == "done"
    assert done["policy"]
    assert not current().policy  # what comes after was allowed by nobody yet


def test_files_that_do_not_hold_let_nobody_decide(guarded) -> None:
    """A slip in a policy, roles that are gone, an access that says nothing: each is an error with its line."""
    own = guarded.environment.parent / "policies" / "own.cedar"
    own.write_text('@id("a") @grant("b")\npermit (principal, action, res);')
    assert "own.cedar:1: no Cedar policy" in guarded.json("freeze", "returns", "--reason", "x", code=1)["problem"]
    assert "own.cedar:1: no Cedar policy" in guarded.json("policy", "validate", code=1)["problem"]
    own.unlink()
    assert guarded.json("freeze", "returns", "--reason", "x")["frozen"]
    (guarded.environment.parent / "roles.yaml").unlink()
    assert "roles.yaml: cannot be read" in guarded.json("thaw", "returns", code=1)["problem"]
    text = guarded.environment.read_text()
    for nothing in ("access:", "access: []", "access: {roles: ''}", "access: yes"):
        guarded.environment.write_text(text.replace("access: {roles: roles.yaml, policies: policies}", nothing))
        assert "access names no file of roles" in guarded.json("thaw", "returns", code=1)["problem"]


def test_an_override_in_production_takes_two(guarded) -> None:
    """Who asks is written down; the same person again is no second one, another one does it, and once."""
    guarded.say("production: true\n")
    version, _ = guarded.open_cycle("first", passed=False)
    override = (*OVERRIDE, "--version", version)
    for _ in range(2):
        said = guarded.json(*override, "--by", "ana", code=1)
        assert "policy four-eyes (guardrails.cedar:3) forbids it" in said["problem"]
        assert said["fix"].endswith("who may now: ben, root")
    assert "no policy permits it" in guarded.json(*override, "--by", "cy", code=1)["problem"]
    assert guarded.json(*override, "--deploy", "--by", "ben", code=1)["error"] == "Denied"  # that is another thing
    assert guarded.json(*override, "--by", "ben")["passed"]
    assert guarded.json(*override, "--by", "root", code=1)["error"] == "Denied"  # what ana asked for is used up
    told = guarded.run("history", "returns").stdout
    assert told.count("decision.asked by ana") == told.count("decision.seconded by ben") == 1
    assert "by cy" not in told


def test_what_was_asked_yesterday_is_not_seconded(guarded) -> None:
    """A promotion that one asked for two days ago is asked for anew."""
    guarded.say("production: true\n")
    version, _ = guarded.open_cycle("first")
    promote = ("model", "promote", "returns", "--version", version, "--reason", "better")
    assert guarded.json(*promote, code=1)["error"] == "Denied"
    guarded.later(48)
    assert guarded.json(*promote, "--by", "ben", code=1)["error"] == "Denied"
    assert guarded.json(*promote, "--by", "ana")["done"]


def test_what_waits_for_its_promotion_is_not_let_go_on_by_an_operator(guarded, tmp_path: Path) -> None:
    """Where promotions are merged, to resume what waits is to promote it: an owner's, and with four eyes."""
    guarded.say("production: true\n")
    guarded.roll_out("first")
    guarded.later(1)
    guarded.say(f"promotions: {{folder: {tmp_path}, required: true}}\n")
    version = guarded.roll_out("second")
    resume = ("rollout", "resume", "returns", "--by")
    assert "cy may not promote version" in guarded.json(*resume, "cy", code=1)["problem"]
    assert "four-eyes" in guarded.json(*resume, "ana", code=1)["problem"]
    assert guarded.json(*resume, "ben")["version"] == version
    assert guarded.json("rollout", "hold", "returns", "--reason", "x", "--by", "cy")["state"] == "held"


def test_the_loop_itself_is_held_to_what_a_team_cannot_leave_out(guarded) -> None:
    """A version that no such gate judged goes nowhere, whoever asks; with the policy away it goes."""
    own = guarded.environment.parent / "policies" / "fairness.cedar"
    own.write_text(FAIRNESS)
    version, _ = guarded.open_cycle("first")
    promote = ("model", "promote", "returns", "--version", version, "--reason", "better")
    said = guarded.json(*promote, code=1)
    assert said["problem"].startswith("the loop may not start rollout of corner/returns: policy judged-for-fairness")
    assert said["fix"] == "judged-for-fairness is lifted by the team, with a FairAcross gate"
    why = ("policy", "why", "loop", "start", "rollout", "corner/returns", "--production")
    assert guarded.json(*why)["policies"] == ["judged-for-fairness (fairness.cedar:2)"]
    own.unlink()
    assert guarded.json(*why)["policies"] == ["the-loop-goes-on (roles.cedar:28)"]
    assert guarded.json(*promote)["done"]
    assert guarded.status()["stable"]


def test_a_model_that_knows_persons_for_ever_does_not_go_live(guarded, contract: Path) -> None:
    """In production, where a contract says that its customers are persons and the model has no end of keeping them."""
    text = contract.read_text()
    assert text.count("name: customer_id") == 1
    contract.write_text(text.replace("name: customer_id\n", "name: customer_id\n        classification: personal\n"))
    guarded.say("production: true\n")
    with pytest.raises(Denied, match=r"policy an-end-for-persons \(guardrails.cedar:26\) forbids it") as caught:
        guarded.roll_out("first")
    assert caught.value.fix.endswith("the model's team, with retention_days on a model that knows persons")


def test_the_loop_trains_where_rows_may_be(guarded, contract: Path) -> None:
    """It is said before, by the contract of the team that is installed and the region of this environment."""
    why = ("policy", "why", "loop", "train", "model", "corner/returns")
    contract.write_text(contract.read_text() + "customProperties: [{property: regions, value: [eu]}]\n")
    said = guarded.json(*why, "--production")
    assert said["policies"][0].startswith("data-stays-in-its-region (guardrails.cedar:")
    assert "at a site in a region that the contracts of all its sources name" in said["fix"]
    guarded.say("region: eu\n")
    assert guarded.json(*why)["policies"][0].startswith("the-loop-trains (roles.cedar:")


def test_tables_and_questions(guarded, tmp_path: Path) -> None:
    """A table of one's own is asked beside the one that ships; who can, and why, are said in the issue's words."""
    table = guarded.environment.parent / "policies" / "decisions.yaml"
    table.write_text("cases: [{who: cy, action: override gate, resource: corner/returns, expect: deny}]")
    (table.parent / "stricter.cedar").write_text(FAIRNESS)
    assert guarded.json("policy", "test")["wrong"] == []  # what ships is asked of what ships
    assert guarded.json("policy", "test", str(table))["decisions"] == 1
    table.write_text(table.read_text().replace("deny", "allow"))
    (wrong,) = guarded.json("policy", "test", code=1)["wrong"]
    assert wrong["fault"] == "cy: override gate of corner/returns: deny by no policy, not allow"
    people = guarded.json("policy", "who-can", "decide", "rollout", "corner/returns")["people"]
    assert [one["person"] for one in people] == ["ana", "ben", "cy", "root"]
    people = guarded.json("policy", "who-can", "--production", "override", "gate", "corner/returns")["people"]
    assert people == [{"person": name, "needs_second": True} for name in ("ana", "ben", "root")]
    why = guarded.json("policy", "why", "cy", "roll", "back", "corner/returns")
    assert (why["allowed"], why["policies"]) == (True, ["team-operators-operate (roles.cedar:8)"])
    assert not guarded.json("policy", "why", "loop", "start", "rollout", "corner/returns", "--production")["allowed"]
    assert guarded.json("policy", "why", "cy", "rollback", "corner/returns", code=2)["error"] == "Usage"
    assert len(guarded.json("policy", "validate")["policies"]) == len(load()) + 1
