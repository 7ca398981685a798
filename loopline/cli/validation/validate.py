"""Command ``loopline validate``: checks environment, contracts and specs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer

if TYPE_CHECKING:
    from loopline.cli.validation.problems import Problem
    from loopline.platform_core.plugins import Installed, Quarantined
    from loopline.platform_core.specs import Team


@click.command("validate", cls=Command)
@click.argument("teams", nargs=-1)
def validate(teams: tuple[str, ...]) -> Answer:
    """Check the environment file, and each team's contracts, YAML models and specs; of all TEAMS when none is named.

    Roles, policies and trainers' keys are looked at where the environment names them. Each problem is told once, as
    file:line: field: message. Ends with 1 when there is any. The store of secrets is not asked: whether a secret is
    there shows when it is used. Classes and items are held against the version that is live, where there is one here.
    What is noted beside is no problem: models whose newest version is served in the slow form.
    """
    from loopline.cli.validation.moved_names import moved_names
    from loopline.cli.validation.problems import answer, of_error
    from loopline.cli.validation.slow_forms import slow_forms
    from loopline.platform_core import plugins
    from loopline.platform_core.environment import environment_file
    from loopline.platform_core.errors import InvalidEnvironment

    with progress("checking"):
        problems = list(_environment())
        try:
            installed = plugins.installed(teams or None)
        except InvalidEnvironment as error:  # where teams are is not known, and so none is looked at
            told = of_error(error, f"{environment_file()}:1")
            return answer([str(environment_file())], [*problems, told])
        problems += unknown(teams, installed)
        problems += _of_nobody()
        problems += [problem for team in installed.teams for problem in sound(team)]
        problems += moved_names(installed.teams)
        problems += [problem for broken in installed.quarantined for problem in quarantined(broken)]
    names = [str(environment_file()), *(f"team {team.name}" for team in installed.teams)]
    checked = [*names, *(f"team {q.team}" for q in installed.quarantined)]
    return answer(checked, problems, notes=list(slow_forms(installed.teams)))


def _environment() -> Iterator[Problem]:
    from loopline.cli.validation.problems import of_error
    from loopline.platform_core import environment
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.policies import rules
    from loopline.platform_core.signing.trust import trust_of

    try:
        bound = environment.read()
        rules.of(bound)
        trust_of(bound)
        if bound.dagster:
            from loopline.pod import settings  # imports Dagster

            settings.of_environment(asked=False)
    except LooplineError as error:
        yield of_error(error, f"{environment.environment_file()}:1")


def _of_nobody() -> Iterator[Problem]:
    """Yield the teams that the environment file places at sites, and that are not installed."""
    from loopline.cli.validation.problems import Problem
    from loopline.platform_core import environment, plugins
    from loopline.platform_core.foundation.distributions import entry_points

    there, every = {point.name for point in entry_points(group=plugins.TEAMS)}, environment.sites()
    here = {team for team in every.teams if set(every.spread(team)) - set(every.code_servers)}
    for team in sorted(here - there):
        fix = f"installed are {', '.join(sorted(there)) or 'none'}; or install it, or leave the line out"
        yield Problem(f"{environment.environment_file()}:1", f"teams.{team}", "no such team is installed", fix)


def unknown(teams: Sequence[str], installed: Installed) -> Iterator[Problem]:
    """Yield a problem for each team named that is not installed."""
    from loopline.cli.validation.problems import Problem
    from loopline.up.dagster_home import team_names

    known = {team.name for team in installed.teams} | {broken.team for broken in installed.quarantined}
    for name in sorted(set(teams) - known):
        fix = f"installed are {', '.join(team_names()) or 'none'}"
        yield Problem("command line:1", "team", f"no team {name!r} is installed", fix)


def sound(team: Team) -> Iterator[Problem]:
    """Yield what is wrong with a team that loads."""
    from loopline.cli.validation.spec_checks import check_team
    from loopline.cli.validation.yaml_models import check_yaml

    yield from check_team(team)
    yield from check_yaml(team.name)


def quarantined(broken: Quarantined) -> Iterator[Problem]:
    """Yield why a team does not load; what its YAML models say themselves is not told twice."""
    from loopline.cli.validation.problems import Problem
    from loopline.cli.validation.yaml_models import check_yaml

    told = list(check_yaml(broken.team))
    yield from told
    if not any(problem.where in broken.reason for problem in told):
        fix = "mend the line; the other teams run meanwhile"
        yield Problem(f"{broken.file}:{broken.line}", f"team {broken.team}", broken.reason, fix)
