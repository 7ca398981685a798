"""Validation check: classes and items must keep the places that the live version uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.cli.validation.problems import Problem
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team


def moved_names(teams: Sequence[Team]) -> Iterator[Problem]:
    """Yield a problem for each such model; nothing where there is no ledger yet, or it cannot be read."""
    from loopline.cli.validation.registry_checks import has_ledger
    from loopline.platform_core import environment
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.platform import Platform

    try:
        with closing(Platform(environment.read(only=()))) as platform:
            if has_ledger(platform):
                for team in teams:
                    for model in team.models:
                        yield from _of(platform, team, model)
    except LooplineError:  # what keeps the environment or its ledger from being read is a problem of its own
        return


def _of(platform: Platform, team: Team, model: Model) -> Iterator[Problem]:
    """Look at one model, unless its live version's package lies elsewhere: training looks again."""
    from loopline.cli.validation import places
    from loopline.cli.validation.problems import Problem
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.drift import moved_names

    try:
        problem = moved_names.found(platform, ModelRef(team.name, model.name), model.target)
    except LooplineError:
        return
    if problem:
        where = places.of_call(team, "Model", model.name, "target")
        yield Problem(where, f"{model.name}.target", problem, moved_names.FIX)
