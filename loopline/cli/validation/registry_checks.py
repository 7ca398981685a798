"""Validation check: whether the feature registry would accept a team's views; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.cli.validation.problems import Problem
    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team


def unregistrable(platform: Platform, team: Team) -> Iterator[Problem]:
    """Yield each view that the registry would refuse, at its function; nothing where nothing ever ran."""
    from loopline.cli.validation.problems import Problem, of_error
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.features.registry.registry import FeatureRegistry

    if not has_ledger(platform):
        return
    try:
        for found in FeatureRegistry(platform).objections(team):
            yield Problem(_place(team, found.ref), found.ref.view, found.problem, found.fix)
    except LooplineError as error:
        yield of_error(error, f"{team.package}:1", "features")


def has_ledger(platform: Platform) -> bool:
    """Say whether there is one; opening a ledger in a file would make it."""
    kind, _, path = platform.environment.ledger.partition(":///")
    return kind != "sqlite" or Path(path).exists()


def _place(team: Team, ref: ViewRef) -> str:
    """Return where the version is declared, or else another one of the view, or else the package."""
    from loopline.cli.validation import places

    versions = {view.version: view for view in team.views if view.name == ref.view}
    view = versions.get(ref.version) or next(iter(versions.values()), None)
    return places.of_function(view.compute) if view else f"{team.package}:1"
