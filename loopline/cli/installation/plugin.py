"""Command ``loopline plugin check``: loads and checks the installed teams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from loopline.cli.validation.problems import Problem
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

plugin = LazyGroup(
    "plugin",
    {
        "check": (
            "loopline.cli.installation.plugin:check",
            "Load teams, check what they declare, run views on empty tables.",
        )
    },
    "Check that the installed teams load and are consistent.",
)


@click.command("check", cls=Command)
@click.argument("team", required=False)
def check(team: str | None) -> Answer:
    """Load TEAM, or every installed team, and check it: specs, contracts, and each view on an empty table.

    Where there is a ledger, no view that something live reads may be dropped or mean something else. A team that
    does not load is named with file, line and reason. Ends with 1 when anything is wrong.
    """
    from loopline.cli.validation.problems import answer
    from loopline.cli.validation.registry_checks import unregistrable
    from loopline.cli.validation.validate import quarantined, sound, unknown
    from loopline.platform_core import plugins

    with progress("checking teams"), opened(only=("engine",)) as platform:
        installed = plugins.installed([team] if team else None)
        problems = list(unknown([team] if team else [], installed))
        problems += [problem for broken in installed.quarantined for problem in quarantined(broken)]
        for loaded in installed.teams:
            problems += list(sound(loaded)) or list(_views(platform, loaded)) or list(unregistrable(platform, loaded))
    names = [f"team {one.name}" for one in installed.teams] + [
        f"team {broken.team}" for broken in installed.quarantined
    ]
    models = {one.name: [model.name for model in one.models] for one in installed.teams}
    return answer(names, problems, models=models, quarantined=installed.quarantined)


def _views(platform: Platform, team: Team) -> Iterator[Problem]:
    for model in team.models:
        yield from _view_problems(platform, team, model)


def _view_problems(platform: Platform, team: Team, model: Model) -> Iterator[Problem]:
    """Run the model's views on empty tables of their contracts; a team's function may raise anything."""
    from loopline.cli.validation import places
    from loopline.cli.validation.problems import Problem, of_error
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.training.training_set import feature_fields

    where = places.of_call(team, "Model", model.name, "features")
    try:
        feature_fields(platform, team, model)
    except LooplineError as error:
        yield of_error(error, where, f"{model.name}.features")
    except Exception as error:  # noqa: BLE001 - a team's own
        message = f"a view fails on an empty table: {type(error).__name__}: {error}"
        yield Problem(where, f"{model.name}.features", message, "run the view on an empty frame and mend it")
