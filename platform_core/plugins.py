"""Finds the teams that are installed; a broken one is quarantined by name while the others go on."""

from __future__ import annotations

import importlib.util
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.specs.team import Team

TEAMS = "loopline.teams"
"""Entry point group: ``<team> = "package.module:team"``."""


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
        raise NotFound(f"no team {name!r} is installed", f"installed are {[t.name for t in self.teams]}")

    def owner_of(self, model: str) -> Team:
        """Return the team that has a model, written ``model`` or ``team/model``."""
        team_name, _, name = model.rpartition("/")
        found = [t for t in self.teams if team_name in ("", t.name) and name in {m.name for m in t.models}]
        if len(found) == 1:
            return found[0]
        names = sorted(f"{t.name}/{m.name}" for t in self.teams for m in t.models)
        problem = f"several teams have a model {name!r}" if found else f"no team has a model {model!r}"
        raise NotFound(problem, f"use one of {', '.join(names) or 'none: no team is installed'}")


def installed(only: Sequence[str] | None = None) -> Installed:
    """Load every installed team, or only those named."""
    teams: list[Team] = []
    broken: list[Quarantined] = []
    for point in sorted(entry_points(group=TEAMS), key=lambda p: p.name):
        if only is not None and point.name not in only:
            continue
        loaded = load(point)
        (teams if isinstance(loaded, Team) else broken).append(loaded)  # type: ignore[arg-type]
    return Installed(tuple(teams), tuple(broken))


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
