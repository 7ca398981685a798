"""Discovery of installed teams by entry point; a broken one is isolated while the others go on."""

from __future__ import annotations

import importlib.util
import os
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core import sites as places
from loopline.platform_core.environment import sites
from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.foundation.distributions import entry_points
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.specs.team import Team

if TYPE_CHECKING:
    from loopline.platform_core.environment import Environment

TEAMS = "loopline.teams"
"""Entry point group: ``<team> = "package.module:team"``."""
ONLY = "LOOPLINE_TEAMS"
"""By this variable a process, and those that it starts, know some of the installed teams only: names with commas."""


@dataclass(frozen=True)
class Quarantined:
    """A team whose package does not load: where, and why."""

    team: str
    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.file}:{self.line}: team {self.team!r} is quarantined: {self.reason}"


@dataclass(frozen=True)
class Installed:
    """What is installed: teams that load, and those that do not."""

    teams: tuple[Team, ...]
    quarantined: tuple[Quarantined, ...]

    def team(self, name: str) -> Team:
        """Return a team by name.

        Raises:
            InvalidSpec: the team is quarantined. NotFound: it is not installed.
        """
        for team in self.teams:
            if team.name == name:
                return team
        for broken in self.quarantined:
            if broken.team == name:
                raise InvalidSpec(str(broken), "mend the line, then run 'loopline plugin check'")
        known = ", ".join(names()) or "none: install a team's package, or make one with 'loopline new team'"
        raise NotFound(f"no team {name!r} is installed", f"use one of {known}")

    def here(self, bound: Environment) -> tuple[Team, ...]:
        """Return the teams whose data is where an environment's bindings are, of those that load."""
        return tuple(team for team in self.teams if bound.is_here(team.name))

    def owner_of(self, model: str) -> Team:
        """Return the team that has a model, written ``model`` or ``team/model``."""
        team_name, _, name = model.rpartition("/")
        found = [t for t in self.teams if team_name in ("", t.name) and name in {m.name for m in t.models}]
        if len(found) == 1:
            return found[0]
        names = sorted(f"{t.name}/{m.name}" for t in self.teams for m in t.models)
        problem = f"several teams have a model {name!r}" if found else f"no team has a model {model!r}"
        raise NotFound(problem, f"use one of {', '.join(names) or 'none: no team is installed'}")


def installed(only: Sequence[str] | None = None, environment: Path | None = None) -> Installed:
    """Load every installed team, or only those named, as the environment file (in force, or given) spreads them.

    A team that is at sites is one team at each of them, and none by its own name.
    """
    every = sites(environment)
    loaded: list[Team | Quarantined] = []
    for point in points():
        if only is None or {point.name, *every.spread(point.name)} & set(only):
            found = _spread(load(point), every)
            loaded += found if only is None else [one for one in found if _name(one) in {*only, point.name}]
    teams = tuple(one for one in loaded if isinstance(one, Team))
    return Installed(teams, tuple(one for one in loaded if isinstance(one, Quarantined)))


def points() -> list[EntryPoint]:
    """Return what names installed teams, in order; nothing of theirs is loaded."""
    only = {name.strip() for name in os.environ.get(ONLY, "").split(",")} - {""}
    found = [point for point in entry_points(group=TEAMS) if not only or point.name in only]
    return sorted(found, key=lambda point: point.name)


def names(environment: Path | None = None) -> tuple[str, ...]:
    """Return the teams that ``installed`` would give, and those whose code servers are at sites; none is loaded."""
    every = sites(environment)
    found = {point.name for point in points()}
    return tuple(sorted({team for name in found for team in every.spread(name)} | set(every.code_servers)))


def take_place(team: str) -> None:
    """Make this process, and those that it starts, one of the team's site, or of the control plane if it is at none."""
    site = sites().of(team)
    if site:
        os.environ[places.SITE] = site
    else:
        os.environ.pop(places.SITE, None)


def _spread(one: Team | Quarantined, every: places.Sites) -> list[Team | Quarantined]:
    """Return a team as it is at each of its sites, with the models that are there."""
    name = _name(one)
    if every.of(name):
        said = f"its name is that of team {every.base(name)!r} at site {every.of(name)!r}: call one of them otherwise"
        return [Quarantined(name, "environment file", 1, said)]
    if isinstance(one, Quarantined):
        return [replace(one, team=each) for each in every.spread(name)]
    problem = next(_misplaced(one, every), None)
    if problem:
        return [Quarantined(each, str(one.package), 1, problem) for each in every.spread(name)]
    if name not in every.teams:
        return [one]
    return [_at(one, site) for site in every.teams[name]]


def _at(team: Team, site: str) -> Team:
    models = tuple(model for model in team.models if not model.sites or site in model.sites)
    return replace(team, name=places.team_at(team.name, site), models=models)


def _misplaced(team: Team, every: places.Sites) -> Iterator[str]:
    """Say of models that they are where their team is not; nothing does where the environment has no sites."""
    for model in team.models if every.names else ():
        known = every.teams.get(team.name, ())
        if not known and model.sites:
            yield (
                f"model {model.name!r} names the sites {', '.join(model.sites)}, and the team is at none: "
                f"add teams: {{{team.name}: {{sites: [...]}}}} to the environment file"
            )
        unknown = sorted(set(model.sites) - set(known))
        if known and unknown:
            yield (
                f"model {model.name!r} is at {', '.join(unknown)}, where its team is not: "
                f"let it be at some of {', '.join(known)}, or add the site to the team's in the environment file"
            )


def _name(one: Team | Quarantined) -> str:
    return one.name if isinstance(one, Team) else one.team


def load(point: EntryPoint) -> Team | Quarantined:
    """Load one team, or say where and why it does not load."""
    try:
        team = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a team's module may raise anything
        return _quarantine(point, error)
    if not isinstance(team, Team):
        return Quarantined(point.name, point.value, 1, f"{point.value} is a {type(team).__name__}, not a Team")
    if team.name != point.name:
        return Quarantined(point.name, point.value, 1, f"the team calls itself {team.name!r}")
    if team.name == PLATFORM:
        return Quarantined(point.name, point.value, 1, f"{PLATFORM!r} is the platform's own name")
    return team


def _quarantine(point: EntryPoint, error: BaseException) -> Quarantined:
    if isinstance(error, SyntaxError) and error.filename:
        return Quarantined(point.name, error.filename, error.lineno or 1, f"SyntaxError: {error.msg}")
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(_place(point))]
    file, line = (own[-1].filename, own[-1].lineno or 1) if own else (point.value, 1)
    return Quarantined(point.name, file, line, f"{type(error).__name__}: {error}")


def _place(point: EntryPoint) -> str:
    """Return the team's file, or the folder of its package: the frames to blame lie there, not in what it calls."""
    found = importlib.util.find_spec(point.module.split(".", maxsplit=1)[0])
    if found is None or found.origin is None:
        return point.value
    return f"{Path(found.origin).parent}{os.sep}" if found.submodule_search_locations else found.origin
