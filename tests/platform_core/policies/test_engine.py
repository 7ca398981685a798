"""What policies decide: nothing by default, nothing where anything goes wrong, and each that ships is needed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.policies import files
from loopline.platform_core.policies.engine import Engine
from loopline.platform_core.policies.files import SCHEMA, SHIPPED, Policy, load, statements
from loopline.platform_core.policies.question import ACTIONS, LOOP, Circumstances, Question, Resource
from loopline.platform_core.policies.roles import Roles
from loopline.platform_core.policies.tables import Case, of_name, read

MODEL = Resource("Model", "retail/cancellations", "retail")
PERMIT = '@id("mine") @grant("me") permit (principal, action, resource)'


@pytest.fixture(scope="module")
def shipped() -> Sequence[Policy]:
    """Read the policies that ship."""
    return load()


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Read the table that ships."""
    return read(SHIPPED / "decisions.yaml", Roles())


def put(folder: Path, text: str, name: str = "own.cedar") -> Path:
    """Write policies of one's own."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def owner(action: str = "override gate", **here: object) -> Question:
    """Ask as an owner of the team."""
    circumstances = replace(Circumstances(), **here)  # type: ignore[arg-type]
    return Question("ana", frozenset({"retail/owner"}), action, MODEL, circumstances)


def test_the_table_that_ships_holds(shipped: Sequence[Policy], cases: list[Case]) -> None:
    """Each case is decided as it says, by the policy that it names."""
    engine = Engine(shipped)
    assert [fault for case in cases if (fault := case.fault(engine))] == []


def test_each_policy_that_ships_is_needed(shipped: Sequence[Policy], cases: list[Case]) -> None:
    """Taken out, some case of the table is decided otherwise, also where its name is not looked at."""
    for policy in shipped:
        engine = Engine([other for other in shipped if other is not policy])
        assert any(replace(case, by="").fault(engine) for case in cases), policy.policy_id


def test_without_policies_nothing_is_allowed(cases: list[Case]) -> None:
    """Nobody may do anything, the loop included."""
    engine = Engine(())
    assert not any(engine.decide(case.question).allowed for case in cases)


def test_a_policy_that_fails_is_a_denial() -> None:
    """Cedar passes a forbid over whose evaluation fails, and allows: here the error denies, and is told."""
    text = PERMIT + ';\n@id("fails") @grant("me") forbid (principal, action, resource is Model)\n'
    text += "when { resource has retention_days && resource.retention_days * 9223372036854775807 > 0 };"
    policies = [Policy(f"p{n}", "me", "", "", one) for n, (_, one) in enumerate(statements(text))]
    named = [replace(policies[0], policy_id="mine"), replace(policies[1], policy_id="fails")]
    question = owner()
    assert Engine(named).decide(question).allowed
    failing = Engine(named).decide(replace(question, resource=replace(MODEL, retention_days=30)))
    assert not failing.allowed
    assert "overflow" in failing.errors[0]


@pytest.mark.parametrize("condition", [
    "(" * 100_000 + "true" + ")" * 100_000,
    "[" * 2_000 + "1" + "]" * 2_000 + " == 1",
    " || ".join(["context.production"] * 1_000),
    "if true then true else " * 100_000 + "true",
    "context" + ".a" * 100_000,
])  # fmt: skip
def test_one_that_is_too_deep_is_refused(tmp_path: Path, condition: str) -> None:
    """With its line, as all that cannot be read: Cedar would end the process, and with it whatever server asks."""
    text = f'\n@id("deep") @grant("me") forbid (principal, action, resource) when {{ {condition} }};'
    with pytest.raises(InvalidEnvironment, match=r"own\.cedar:2: no Cedar policy: it has more than"):
        load(put(tmp_path / "own", text))
    names = ", ".join(f'Model::"retail/model.{number}"' for number in range(2_000))
    put(
        tmp_path / "own",
        f'@id("wide") @grant("me") permit (principal, action, resource) when {{ resource in [{names}] }};',
    )
    assert [policy.policy_id for policy in load(tmp_path / "own")][-1] == "wide"


def test_whatever_cannot_be_asked_is_a_denial(shipped: Sequence[Policy], monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic of the library, attributes that the schema does not have, an action that there is not."""
    engine = Engine(shipped)
    assert engine.decide(owner()).allowed
    assert not engine.decide(owner("overrule gate")).allowed
    odd = replace(MODEL, slo="none")  # type: ignore[arg-type]
    assert engine.decide(replace(owner(), resource=odd)).errors
    panic = type("PanicException", (BaseException,), {})

    def fails(*_: object) -> None:
        raise panic("out of bounds")

    monkeypatch.setattr(engine._cedar, "is_authorized", fails)
    assert engine.decide(owner()).errors == ("out of bounds",)


def test_a_person_is_not_the_loop(shipped: Sequence[Policy]) -> None:
    """Whoever is called as the loop is, is asked as a person nowhere, and as the loop nobody has a role."""
    engine = Engine(shipped)
    assert not engine.decide(replace(owner("start rollout"), person="loop2")).allowed
    assert not engine.decide(replace(owner(), person=LOOP)).allowed


def test_names_are_never_read_as_policies(shipped: Sequence[Policy]) -> None:
    """Quotes, braces and line breaks in names change no question."""
    engine = Engine(shipped)
    for odd in ('a"b', 'x", "type": "Loop', "a\nb", "\\", "{}", "é\0"):
        assert engine.decide(replace(owner(), person=odd)).allowed
        asked = replace(MODEL, name=f"retail/{odd}")
        assert engine.decide(replace(owner(), resource=asked)).allowed
        assert not engine.decide(replace(owner(), roles=frozenset({odd}))).allowed


def test_the_schema_has_the_actions_that_are_asked() -> None:
    """Each action that the code knows is in the schema with its resources, and the schema has no other."""
    text = re.sub(r"//[^\n]*", "", SCHEMA.read_text())
    found: dict[str, tuple[str, ...]] = {}
    for names, body in re.findall(r"action ([^;{]*?)\s+(?:in \[[^\]]*\]\s+)?appliesTo \{([^}]*)\}", text):
        kinds = re.search(r"resource: \[([^\]]*)\]", body)
        assert kinds
        found |= dict.fromkeys(re.findall(r'"([^"]+)"', names), tuple(kinds[1].split(", ")))
    assert found == ACTIONS


def test_a_policy_of_ones_own_adds_or_takes_a_place(tmp_path: Path) -> None:
    """What a team cannot leave out: a gate that must have judged. One of a shipped id is there instead of that."""
    own = put(
        tmp_path / "own",
        """// a semicolon; in a comment, and in the text below
        @id("judged-for-fairness") @grant("the team; with a FairAcross gate")
        forbid (principal is Loop, action == Action::"start rollout", resource)
        unless { context has judged && context.judged.contains("FairAcross(country)") };
        @id("four-eyes") @grant("nobody")
        forbid (principal is User, action == Action::"override gate", resource);""",
    )
    policies = load(own)
    assert [p.policy_id for p in policies].count("four-eyes") == 1
    assert next(p.where for p in policies if p.policy_id == "judged-for-fairness").endswith("own.cedar:2")
    engine = Engine(policies)
    assert not engine.decide(owner()).allowed
    loop = Question(LOOP, frozenset(), "start rollout", MODEL)
    for judged, allowed in (({"AtLeast(auc)"}, False), ({"AtLeast(auc)", "FairAcross(country)"}, True)):
        here = Circumstances(judged=frozenset(judged))
        assert engine.decide(replace(loop, here=here)).allowed is allowed


WRONG = {
    "slip": (
        f"{PERMIT};\n\n{PERMIT.replace('mine', 'slip')}\nwhen {{ resource.team.ownr == principal }};",
        ":3",
        "ownr",
    ),
    "action": (PERMIT.replace("action,", 'action == Action::"overrule gate",') + ";", ":1", "overrule gate"),
    "has": (PERMIT + '\nwhen { context.gate == "x" };', ":1", "gate"),
    "open end": (PERMIT, ":1", "unexpected end"),
    "rest": (f"{PERMIT};\nx", ":2", "no Cedar policy"),
    "no id": ('\n\n// why\n@grant("me") permit (principal, action, resource);', ":4", "an id"),
    "no grant": ('@id("a") @grant(" ") permit (principal, action, resource);', ":1", "who can grant"),
    "twice": (f"{PERMIT};\n{PERMIT};", ":2", "has the id"),
    "template": (PERMIT.replace("principal,", "principal == ?principal,") + ";", ":1", "template"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    """A policy that does not hold is refused when it is loaded, with file, line and what to do."""
    text, line, told = WRONG[name]
    own = put(tmp_path / "own", text)
    with pytest.raises(InvalidEnvironment, match=re.escape(told)) as caught:
        load(own)
    assert f"own.cedar{line}: " in caught.value.problem
    assert caught.value.fix


def test_files_that_are_not_there_are_no_policies(tmp_path: Path) -> None:
    """A folder that is gone, and one whose file is no text, open nothing."""
    with pytest.raises(InvalidEnvironment, match="is not there"):
        load(tmp_path / "gone")
    (put(tmp_path / "own", "") / "x.cedar").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidEnvironment, match="cannot be read"):
        load(tmp_path / "own")


def test_without_cedar_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies that cannot be read are an error with the extra to install, not an open door."""
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    with pytest.raises(InvalidEnvironment, match="Cedar cannot be imported") as caught:
        files.engine()
    assert "loopline[policies]" in caught.value.fix


TABLES = {
    "no cases": ("cases: []", "no cases"),
    "unknown": ("cases: [{as: owner, action: roll back, resource: a/b, expect: allow, whom: x}]", "unknown 'whom'"),
    "nobody": ("cases: [{action: roll back, resource: a/b, expect: allow}]", "not said who"),
    "no role": ("cases: [{as: boss, action: roll back, resource: a/b, expect: allow}]", "no role 'boss'"),
    "no action": ("cases: [{as: owner, action: back, resource: a/b, expect: allow}]", "no action 'back'"),
    "no resource": ("cases: [{as: owner, action: roll back, resource: a, expect: allow}]", "write team/name"),
    "no expectation": ("cases: [{as: owner, action: roll back, resource: a/b}]", "expect None"),
    "slo": ("cases: [{as: owner, action: roll back, resource: a/b, slo: {p50: 1}, expect: allow}]", "p50"),
    "text": ("cases: [x]", "cannot be read"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_says_too_little_is_refused(tmp_path: Path, name: str) -> None:
    """With the line of the case."""
    text, told = TABLES[name]
    path = tmp_path / "decisions.yaml"
    path.write_text(text)
    with pytest.raises(InvalidEnvironment, match=re.escape(told)) as caught:
        read(path, Roles())
    assert "decisions.yaml:1" in caught.value.problem


def test_a_wrong_decision_and_a_wrong_policy_are_faults(shipped: Sequence[Policy]) -> None:
    """A table that names the other answer, or another policy, says what came."""
    case = Case("x:1", owner(), "allow", "team-owners-decide")
    engine = Engine(shipped)
    assert not case.fault(engine)
    assert "allow by team-owners-decide, not deny" in replace(case, expect="deny").fault(engine)
    assert "not allow by four-eyes" in replace(case, by="four-eyes").fault(engine)
    assert of_name("take alarm", "platform").kind == "Platform"
