"""Draws a drift page where the environment computes: the libraries that draw take seconds to load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core import plugins
from loopline.platform_core.environment import carried, landed
from loopline.platform_core.monitor.drift import report
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs.model import Requirements

if TYPE_CHECKING:
    from loopline.platform_core.specs import Model, Team

DRAW = "loopline.platform_core.monitor.task:draw"


def drawn(platform: Platform, team: Team, model: Model, key: str) -> Path | None:
    """Have the newest judged window of the live version drawn; ``key`` names the window."""
    args = {"environment": carried(platform.environment.path), "team": team.name, "model": model.name}
    page = platform.compute.run(DRAW, args, Requirements(), key)
    return Path(page) if page else None


def draw(environment: str | dict[str, str], team: str, model: str) -> str | None:
    """Draw it, and return the page's path; None while no window was judged; ``environment`` as in ``train``."""
    platform = Platform.open(landed(environment))
    try:
        owner = plugins.installed(only=[team]).team(team)
        page = report(platform, owner, owner.model(model))
    finally:
        platform.close()
    return str(page) if page else None
