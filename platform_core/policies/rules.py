"""Policies and roles of an environment: who may do what, who could, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.files import stamp
from loopline.platform_core.policies import files
from loopline.platform_core.policies.engine import Decision, Engine
from loopline.platform_core.policies.question import (
    LOOP,
    OF_TEAMS,
    PLATFORM,
    ROLES,
    Circumstances,
    Question,
    Resource,
    roles_in,
)
from loopline.platform_core.policies.roles import Roles, read

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.platform_core.environment import Environment
    from loopline.platform_core.policies.files import Policy

ANOTHER = "another person"
"""Stands for whoever might have asked for the same before; no person may have the name."""


@dataclass(frozen=True)
class Rules:
    """Who may do what here; ``vouched`` says that a provider tells who is in which group."""

    engine: Engine
    roles: Roles
    vouched: bool = False

    def question(
        self,
        person: str,
        action: str,
        resource: Resource,
        here: Circumstances,
        groups: frozenset[str] = frozenset(),
    ) -> Question:
        """Return a question with the roles that the person, or one of these groups, has where it is asked."""
        held = frozenset() if person == LOOP else self.roles.of(person, resource.team, groups)
        return Question(person, held, action, resource, here)

    def decide(self, person: str, action: str, resource: Resource, here: Circumstances) -> Decision:
        """Decide whether a person may do something to something."""
        return self.engine.decide(self.question(person, action, resource, here))

    def lacks_second(self, question: Question) -> bool:
        """Say whether a question that was denied would be allowed, had another person asked for the same before."""
        seconded = replace(question.here, seconded_by=ANOTHER)
        return not question.here.seconded_by and self.engine.decide(replace(question, here=seconded)).allowed

    def who_can(self, action: str, resource: Resource, here: Circumstances) -> list[tuple[str, bool]]:
        """Return everybody who may do something, and whether another person must have asked for the same before."""
        asked = [self.question(person, action, resource, here) for person in self.roles.people]
        alone = {question.person: self.engine.decide(question).allowed for question in asked}
        return [(q.person, not alone[q.person]) for q in asked if alone[q.person] or self.lacks_second(q)]

    def groups_that_can(self, action: str, resource: Resource, here: Circumstances) -> list[str]:
        """Return the groups of the file whose members by a provider's word may do something, seconded if need be."""
        if not self.vouched:
            return []
        seconded = replace(here, seconded_by=ANOTHER)
        asked = {name: self.question("", action, resource, seconded, frozenset({name})) for name in self.roles.groups}
        return [f"members of {name}" for name, question in asked.items() if self.engine.decide(question).allowed]

    def granting(self, question: Question) -> list[tuple[str, Policy]]:
        """Return the roles of which each alone would let a person do it, seconded if need be, and by which policy."""
        return list(self._granting(replace(question, here=replace(question.here, seconded_by=ANOTHER))))

    def _granting(self, question: Question) -> Iterator[tuple[str, Policy]]:
        for role in ROLES:
            team = question.resource.team if role in OF_TEAMS else PLATFORM
            found = self.engine.decide(replace(question, roles=roles_in(team, {team: frozenset({role})})))
            if found.allowed:
                yield from ((f"{team}/{role}", policy) for policy in found.policies)


def circumstances(environment: Environment) -> Circumstances:
    """Return what policies may know of an environment."""
    return Circumstances(environment.name, environment.production, region=environment.region)


def of(environment: Environment) -> Rules | None:
    """Return who may do what, as the files say now; None where the environment says nothing of access.

    Raises:
        InvalidEnvironment: the files do not hold together, with ``file:line``; then nobody may decide.
    """
    said = environment.access
    if said is None:
        return None
    own = files.files(said.policies) if said.policies is not None else []
    found = _read(said.roles, said.policies, tuple(_stamp(path) for path in (said.roles, *own)))
    vouched = environment.sign_in is not None and bool(environment.sign_in.issuer)
    return replace(found, vouched=True) if vouched else found


def _stamp(path: Path) -> tuple[str, tuple[int, ...]]:
    """Tell a file as it is now from what it was; one that is not there is told when it is read."""
    try:
        return str(path), stamp(path)
    except OSError:
        return str(path), ()


@lru_cache(4)
def _read(roles: Path, policies: Path | None, _: tuple[tuple[str, tuple[int, ...]], ...]) -> Rules:
    return Rules(Engine(files.load(policies)), read(roles))
