"""Decision tables: test cases of policies, each a question and its expected answer.

A table knows nothing of installed teams: what a policy looks at stands in the case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec
from loopline.platform_core.foundation.located_yaml import Located, load
from loopline.platform_core.policies.question import (
    ACTIONS,
    LOOP,
    OF_TEAMS,
    PLATFORM,
    ROLES,
    Circumstances,
    Question,
    Resource,
    roles_in,
)
from loopline.platform_core.specs.slo import Slo

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.platform_core.policies.engine import Engine
    from loopline.platform_core.policies.roles import Roles

NAMES = "decisions*.yaml"
_KEYS = {
    "who",
    "as",
    "action",
    "resource",
    "site",
    "slo",
    "retention_days",
    "persons",
    "regions",
    "here",
    "expect",
    "by",
}
_HERE = {"environment", "production", "seconded_by", "version", "gate", "judged", "erased", "region"}
_SOMEBODY = "somebody"
Expected = Literal["allow", "deny"]


@dataclass(frozen=True)
class Case:
    """One line of a table: a question, what shall come of it, and the policy that shall decide, "" for any."""

    where: str
    question: Question
    expect: Expected
    by: str = ""

    def fault(self, engine: Engine) -> str:
        """Return what came instead, "" where it is as expected."""
        found = engine.decide(self.question)
        said: Expected = "allow" if found.allowed else "deny"
        decided = [policy.policy_id for policy in found.policies]
        told = f"{said} by {', '.join(decided) or 'no policy'}" + "".join(f"; {error}" for error in found.errors)
        wrong = said != self.expect or found.errors or (self.by and self.by not in decided)
        wanted = f"{self.expect} by {self.by}" if self.by else self.expect
        asked = self.question
        return f"{asked.person}: {asked.action} of {asked.resource}: {told}, not {wanted}" if wrong else ""


def read(path: Path, roles: Roles) -> list[Case]:
    """Read a table; ``who`` is a person of the roles, ``as`` anybody with that role, or roles, in the resource's team.

    Raises:
        InvalidEnvironment: with ``file:line``: a case says too little, or what there is not.
    """
    try:
        document = load(path)
    except InvalidSpec as error:
        raise InvalidEnvironment(error.problem, error.fix) from error
    cases = document.data.get("cases") if isinstance(document.data, dict) else None
    if not isinstance(cases, list) or not cases or set(document.data) != {"cases"}:
        raise InvalidEnvironment(f"{path}:1: the table has no cases", "write cases: [{as: owner, action: ..., ...}]")
    return list(_cases(document, cases, roles))


def _cases(document: Located, cases: list[Any], roles: Roles) -> Iterator[Case]:
    for index, said in enumerate(cases):
        where = document.at("cases", index)
        try:
            yield _case(where, said, roles)
        except (TypeError, ValueError, AttributeError) as error:
            raise InvalidEnvironment(f"{where}: the case cannot be read: {error}", _FIX) from error


_FIX = "write {who or as: ..., action: ..., resource: ..., expect: allow or deny}"


def _case(where: str, said: Mapping[str, Any], roles: Roles) -> Case:
    unknown = sorted(set(said) - _KEYS) + sorted(set(said.get("here") or {}) - _HERE)
    if unknown:
        raise ValueError(f"unknown {unknown[0]!r}")
    if said.get("expect") not in {"allow", "deny"}:
        raise ValueError(f"expect {said.get('expect')!r}")
    resource, here = _resource(said), dict(said.get("here") or {})
    if here.get("judged") is not None:
        here["judged"] = frozenset(here["judged"])
    person, held = _person(said, resource, roles)
    question = Question(person, held, str(said["action"]), resource, Circumstances(**here))
    return Case(where, question, said["expect"], str(said.get("by", "")))


def _person(said: Mapping[str, Any], resource: Resource, roles: Roles) -> tuple[str, frozenset[str]]:
    if ("who" in said) == ("as" in said):
        raise ValueError("it is not said who, or twice")
    if "who" in said:
        person = str(said["who"])
        return person, roles.of(person, resource.team)
    if said["as"] == LOOP:
        return LOOP, frozenset()
    named = said["as"] if isinstance(said["as"], list) else [said["as"]]
    unknown = [role for role in named if role not in {*ROLES, "nobody"}]
    if unknown:
        raise ValueError(f"no role {unknown[0]!r}: use {', '.join(ROLES)}, nobody or {LOOP}")
    held = {resource.team: set(named) & set(OF_TEAMS)}
    held.setdefault(PLATFORM, set()).update(set(named) - {*OF_TEAMS, "nobody"})
    return _SOMEBODY, roles_in(resource.team, {team: frozenset(roles) for team, roles in held.items()})


def _resource(said: Mapping[str, Any]) -> Resource:
    action, name = said.get("action"), said.get("resource")
    if action not in ACTIONS:
        raise ValueError(f"no action {action!r}: use {', '.join(ACTIONS)}")
    if not isinstance(name, str) or not name:
        raise ValueError("no resource")
    slo = Slo(**said["slo"]) if said.get("slo") is not None else None
    seen = {field: said[field] for field in ("site", "retention_days", "persons") if field in said}
    if "regions" in said:
        seen["regions"] = frozenset(map(str, said["regions"]))
    return of_name(action, name, slo=slo, **seen)


def of_name(action: str, name: str, **more: Any) -> Resource:
    """Return the resource that a name means where an action is asked about: the platform, or something of a team.

    Raises:
        ValueError: the action is of nothing with such a name.
    """
    kinds, (team, slash, rest) = ACTIONS[action], name.partition("/")
    if name == PLATFORM:
        if "Platform" not in kinds:
            raise ValueError(f"{action} is not of the platform: write team/name")
        return Resource("Platform", PLATFORM)
    if kinds[0] == "Platform" or not (team and slash and rest):
        raise ValueError(
            f"{action} of {name!r}: " + ("write platform" if kinds[0] == "Platform" else "write team/name")
        )
    return Resource(kinds[0], name, team, **more)
