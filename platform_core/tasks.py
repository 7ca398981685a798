"""Start of a task in another process or machine: opens the platform by its environment file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.platform_core import plugins
from loopline.platform_core.environment import landed, sites
from loopline.platform_core.platform import Platform

if TYPE_CHECKING:
    from loopline.platform_core.specs import Team


@contextmanager
def opened(environment: str | Mapping[str, str], team: str) -> Iterator[tuple[Platform, Team]]:
    """Give the platform of an environment file, by its path or carried (``environment.carried``), and a team of it.

    Of a team at a site it is the site's platform, wherever the task runs.
    """
    file = landed(environment)
    platform = Platform.open(file, sites(file).of(team))
    try:
        yield platform, plugins.installed([team], file).team(team)
    finally:
        platform.close()
