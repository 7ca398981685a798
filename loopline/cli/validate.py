"""``loopline validate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer

if TYPE_CHECKING:
    from loopline.cli.problems import Problem
    from platform_core.plugins import Installed
    from platform_core.specs import Team


@click.command("validate", cls=Command)
@click.argument("teams", nargs=-1)
def validate(teams: tuple[str, ...]) -> Answer:
    """Check the environment file, and each team's contracts, YAML models and specs; of all TEAMS when none is named.

    Each problem is told once, as file:line: field: message. Ends with 1 when there is any.
    """
    from loopline.cli.problems import answer
    from platform_core import plugins
    from platform_core.environment import environment_file

    with progress("checking"):
        problems = list(_environment())
        installed = plugins.installed(teams or None)
        problems += unknown(teams, installed)
        problems += quarantined(installed)
        problems += [problem for team in installed.teams for problem in _team(team)]
    names = [str(environment_file()), *(f"team {team.name}" for team in installed.teams)]
    return answer([*names, *(f"team {q.team}" for q in installed.quarantined)], problems)


def _environment() -> Iterator[Problem]:
    from loopline.cli.problems import of_error
    from platform_core import environment
    from platform_core.errors import LooplineError

    try:
        environment.read()
    except LooplineError as error:
        yield of_error(error, f"{environment.environment_file()}:1")


def unknown(teams: Sequence[str], installed: Installed) -> Iterator[Problem]:
    """Yield a problem for each team named that is not installed."""
    from loopline.cli.problems import Problem
    from loopline.up.dagster_home import team_names

    known = {team.name for team in installed.teams} | {broken.team for broken in installed.quarantined}
    for name in sorted(set(teams) - known):
        fix = f"installed are {', '.join(team_names()) or 'none'}"
        yield Problem("command line:1", "team", f"no team {name!r} is installed", fix)


def quarantined(installed: Installed) -> Iterator[Problem]:
    """Yield a problem for each team that does not load."""
    from loopline.cli.problems import Problem

    for broken in installed.quarantined:
        fix = "mend the line; the other teams run meanwhile"
        yield Problem(f"{broken.file}:{broken.line}", f"team {broken.team}", broken.reason, fix)


def _team(team: Team) -> Iterator[Problem]:
    from loopline.cli.spec_checks import check_team

    yield from check_team(team)
