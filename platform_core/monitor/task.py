"""Draws a drift page where the environment computes: the libraries that draw take seconds to load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core import plugins
from loopline.platform_core.environment import carried, landed
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.monitor.drift import report
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs.model import Requirements

if TYPE_CHECKING:
    from loopline.platform_core.specs import Model, Team

DRAW = "loopline.platform_core.monitor.task:draw"


def drawn(platform: Platform, team: Team, model: Model, key: str) -> Path | None:
    """Have the newest judged window of the live version drawn; ``key`` names the window.

    Raises:
        Unsupported: nothing that draws is installed where the environment computes.
    """
    args = {"environment": carried(platform.environment.path), "team": team.name, "model": model.name}
    answer = platform.compute.run(DRAW, args, Requirements(), key)
    if isinstance(answer, dict):
        raise Unsupported(str(answer["problem"]), str(answer["fix"]))
    return Path(str(answer)) if answer else None


def draw(environment: str | dict[str, str], team: str, model: str) -> str | dict[str, str] | None:
    """Draw it, and return the page's path; None while no window was judged; ``environment`` as in ``train``.

    That nothing draws is an answer, with problem and fix: of an error only its text would come back from a process.
    """
    platform = Platform.open(landed(environment))
    try:
        owner = plugins.installed(only=[team]).team(team)
        page = report(platform, owner, owner.model(model))
    except Unsupported as error:
        return {"problem": error.problem, "fix": error.fix}
    finally:
        platform.close()
    return str(page) if page else None
