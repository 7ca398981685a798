"""Discovery of demo stories by entry points of installed packages."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from loopline import shipped
from loopline.demo.declared import Story
from loopline.platform_core import plugins
from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.foundation.distributions import entry_points

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "loopline.demos"
"""Entry point group: ``<name> = "package.module:story"``."""
TEAM = "retail"
SHIPPED = {"cancellations": f"{TEAM}.story:cancellations", "value": f"{TEAM}.story:value"}
"""Stories of the team that a wheel carries along."""


def names() -> tuple[str, ...]:
    """Name the stories that can be told; none is loaded."""
    carried = SHIPPED if shipped.demo_teams() else {}
    return tuple(sorted({point.name for point in entry_points(group=GROUP)} | set(carried)))


def known(name: str) -> str:
    """Return a story's name.

    Raises:
        NotFound: no installed package declares it.
    """
    if name not in names():
        told = ", ".join(names()) or "none: install a team's package that declares some"
        raise NotFound(f"no story {name!r} can be told", f"use one of {told}")
    return name


def story(name: str) -> Story:
    """Load a story.

    Raises:
        NotFound: no installed package declares it. InvalidSpec: what it declares is no story.
    """
    (point,) = [one for one in entry_points(group=GROUP) if one.name == known(name)][:1]
    found = point.load()
    if not isinstance(found, Story):
        raise InvalidSpec(
            f"{point.value} is a {type(found).__name__}, not a Story", "declare a loopline.demo.declared.Story"
        )
    return found


def bring_team(home: Path) -> None:
    """Let this process and its children find the demo's team where nobody installed it: a wheel carries it along."""
    teams = shipped.demo_teams()
    if teams is None or TEAM in {point.name for point in entry_points(group=plugins.TEAMS)}:
        return
    about = home / "teams" / f"loopline_{TEAM}-0.dist-info"  # as an installation would leave it
    about.mkdir(parents=True)
    about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: loopline-{TEAM}\nVersion: 0\n")
    stories = "".join(f"{name} = {where}\n" for name, where in SHIPPED.items())
    about.joinpath("entry_points.txt").write_text(f"[{plugins.TEAMS}]\n{TEAM} = {TEAM}:team\n[{GROUP}]\n{stories}")
    places = [str(about.parent), str(teams)]
    sys.path[:0] = places
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *([inherited] if inherited else [])])
