"""Role assignments: people and groups by team, read from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec
from loopline.platform_core.foundation.located_yaml import Located, Place, load
from loopline.platform_core.policies.question import LOOP, OF_TEAMS, PLATFORM, ROLES, roles_in

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = ("groups", "teams", "platform")
_NOBODY = frozenset({LOOP, PLATFORM, "api"})
"""Names that the ledger gives to what no person decided."""
_FIX = "write <role>: [<person or group>, ...]"


@dataclass(frozen=True)
class Roles:
    """Roles by person and team; those under ``platform`` hold in every team.

    ``groups`` are those of the groups that the file names: a provider may say of a person that it is in one.
    """

    held: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)

    @property
    def people(self) -> tuple[str, ...]:
        """Return everybody who has a role anywhere."""
        return tuple(sorted(self.held))

    @property
    def teams(self) -> tuple[str, ...]:
        """Return every team that is named."""
        every = (*self.held.values(), *self.groups.values())
        return tuple(sorted({team for held in every for team in held} - {PLATFORM}))

    def of(self, person: str, team: str, groups: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return a person's roles where something of a team is asked about, as ``team/role``, its groups' included."""
        return roles_in(team, self.by_team(person, groups))

    def by_team(self, person: str, groups: frozenset[str] = frozenset()) -> Mapping[str, frozenset[str]]:
        """Return a person's roles in each team, and under ``platform`` those in all; its groups' included."""
        found: dict[str, frozenset[str]] = {}
        for held in (self.held.get(person, {}), *(self.groups[name] for name in sorted(groups) if name in self.groups)):
            for team, roles in held.items():
                found[team] = found.get(team, frozenset()) | roles
        return found


def read(path: Path) -> Roles:
    """Read a file of roles.

    Raises:
        InvalidEnvironment: with ``file:line``: it is missing, or has a key, a role or a name that says nothing,
            or a key twice.
    """
    try:
        document = load(path)
    except InvalidSpec as error:
        raise InvalidEnvironment(error.problem, error.fix) from error
    _refuse_unknown(document, (), _KEYS)
    groups = {name: _names(document, ("groups", name)) for name in _mapping(document, ("groups",))}
    _refuse_nested(document, groups)
    held: dict[str, dict[str, set[str]]] = {}
    of_groups: dict[str, dict[str, set[str]]] = {}
    for team, place in _teams(document):
        _refuse_unknown(document, place, ROLES if team == PLATFORM else OF_TEAMS)
        for role in _mapping(document, place):
            for name in _names(document, (*place, role)):
                for person in groups.get(name, [name]):
                    held.setdefault(person, {}).setdefault(team, set()).add(role)
                if name in groups:
                    of_groups.setdefault(name, {}).setdefault(team, set()).add(role)
    _refuse_look_alikes(document, held)
    return Roles(_frozen(held), _frozen(of_groups))


def _frozen(held: Mapping[str, Mapping[str, set[str]]]) -> dict[str, dict[str, frozenset[str]]]:
    return {name: {t: frozenset(r) for t, r in by_team.items()} for name, by_team in held.items()}


def _teams(document: Located) -> Iterator[tuple[str, Place]]:
    for team in _mapping(document, ("teams",)):
        if team == PLATFORM:
            raise InvalidEnvironment(
                f"{document.at('teams', team)}: {team!r} is no team here", "put roles in all teams under platform"
            )
        yield team, ("teams", team)
    if "platform" in _mapping(document, ()):
        yield PLATFORM, ("platform",)


def _names(document: Located, place: Place) -> list[str]:
    found = _value(document, place)
    if not isinstance(found, list):
        raise InvalidEnvironment(f"{document.at(*place)}: {place[-1]} is no list of names", _FIX)
    for index, name in enumerate(found):
        where = document.at(*place, index)
        if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
            raise InvalidEnvironment(f"{where}: {name!r} is no name", "write a person's or a group's name as text")
        if name.casefold() in _NOBODY:
            raise InvalidEnvironment(f"{where}: {name!r} is nobody's name", "it stands for what no person decides")
    return found


def _refuse_nested(document: Located, groups: Mapping[str, list[str]]) -> None:
    for name, people in groups.items():
        for index, person in enumerate(people):
            if person in groups:
                where = document.at("groups", name, index)
                raise InvalidEnvironment(f"{where}: {person!r} is a group, and groups hold people", "name its people")


def _refuse_look_alikes(document: Located, held: Mapping[str, Any]) -> None:
    """Refuse names that differ in their case alone: one person would be two pairs of eyes."""
    seen: dict[str, str] = {}
    for name in held:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidEnvironment(
                f"{document.path}:1: {other!r} and {name!r} look like one person", "write a person's name one way"
            )


def _refuse_unknown(document: Located, place: Place, known: tuple[str, ...]) -> None:
    for key in _mapping(document, place):
        if key not in known:
            raise InvalidEnvironment(f"{document.at(*place, key)}: unknown {key!r}", f"use {', '.join(known)}")


def _mapping(document: Located, place: Place) -> Mapping[str, Any]:
    found = _value(document, place)
    if found is None:
        return {}
    if not isinstance(found, dict):
        what = place[-1] if place else "the file"
        raise InvalidEnvironment(f"{document.at(*place)}: {what} is no mapping", _FIX)
    odd = [key for key in found if not isinstance(key, str)]
    if odd:
        raise InvalidEnvironment(f"{document.at(*place)}: {odd[0]!r} is no name", "put it in quotes")
    return found


def _value(document: Located, place: Place) -> Any:
    found: Any = document.data
    for part in place:
        found = found.get(part) if isinstance(found, dict) else None
    return found
