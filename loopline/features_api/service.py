"""Shared state of the feature service's routes: the platform and the installed teams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from loopline.platform_core.errors import NotFound
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team


@dataclass(frozen=True)
class Service:
    """The platform and the teams that load."""

    platform: Platform
    teams: Sequence[Team]

    def team(self, name: str) -> Team:
        """Return a team by name.

        Raises:
            NotFound: it is not installed, or does not load.
        """
        for team in self.teams:
            if team.name == name:
                return team
        raise NotFound(f"no team {name!r} is served", f"served are {', '.join(t.name for t in self.teams) or 'none'}")


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Given = Annotated[Service, Depends(_service)]
"""A route's parameter by which it gets the service: ``def route(service: Given)``."""
