"""Commands ``loopline plugin list`` and ``check``: what is installed, and whether the teams among it are sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.cli.validation.problems import Problem
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.testing.promised.record import Record

plugin = LazyGroup(
    "plugin",
    {
        "list": (
            "loopline.cli.installation.plugin:list_plugins",
            "Installed plugins: their releases, what they bring, which promises they keep.",
        ),
        "check": (
            "loopline.cli.installation.plugin:check",
            "Load teams, check what they declare, run views on empty tables.",
        ),
    },
    "Installed plugins: list them, check the teams among them.",
)
OWN = "loopline"


@dataclass(frozen=True)
class Plugin:
    """What a distribution brings by an entry point; ``record`` is of its last conformance run in this home."""

    distribution: str
    release: str
    brings: str
    name: str
    record: Record | None


@click.command("list", cls=Command)
@click.option("--all", "every", is_flag=True, help="Also what Loopline itself brings.")
def list_plugins(every: bool) -> Answer:
    """List the installed plugins: distribution, release, and each team, vendor, kind of models and demo it brings.

    For a vendor, also what its promises were found to be when 'loopline conformance' last ran on it in this home: how
    many are kept, and in which release of Loopline its kit was. Nothing of a plugin is loaded.
    """
    from loopline.platform_core import environment

    found = _plugins(environment.home())
    plugins = sorted(found, key=lambda one: (one.distribution == OWN, one.distribution, one.brings, one.name))
    told = [one for one in plugins if every or one.distribution != OWN]
    rows = [(one.distribution, one.release, one.brings, one.name, *_found(one)) for one in told]
    header = ("plugin", "release", "brings", "name", "promises", "kit")
    lines = [table(rows, header)] if rows else ["no plugin is installed: 'loopline new' begins one"]
    if len(told) < len(plugins):
        lines.append(f"{len(plugins) - len(told)} more come with Loopline: --all lists them")
    return Answer({"plugins": told}, "\n".join(lines))


def groups() -> dict[str, str]:
    """Return each entry point group with what a plugin brings by it."""
    from loopline.demo import found
    from loopline.platform_core import environment, plugins, targets

    return {
        plugins.TEAMS: "team",
        environment.VENDORS: "vendor",
        targets.GROUP: "kind of models",
        found.GROUP: "demo",
    }


def _plugins(home: Path) -> Iterator[Plugin]:
    from loopline.platform_core.foundation.distributions import entry_points
    from loopline.platform_core.testing.promised import record

    for group, brings in groups().items():
        for point in entry_points(group):
            found = record.last(home, point.name) if brings == "vendor" else None
            yield Plugin(point.dist.name if point.dist else "", record.release(point), brings, point.name, found)


def _found(one: Plugin) -> tuple[str, str]:
    """Return for people what the promises were found to be, and of which release, where that is another now."""
    from loopline.platform_core.testing.promised.conformance import WORST

    if one.record is None:
        return ("not tested here", "") if one.brings == "vendor" else ("", "")
    counts = Counter(one.record.promises.values())
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(WORST) if counts[verdict])
    before = f", of release {one.record.release}" if one.record.release != one.release else ""
    return verdicts + before, f"{one.record.kit} on {one.record.at[:10]}"


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
