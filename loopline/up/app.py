"""Running installation: addresses, teams, processes and the platform."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import Refused, Unsupported
from loopline.up.supervisor import Supervisor

if TYPE_CHECKING:
    from loopline.graphql import Dagster
    from loopline.platform_core.platform import Platform
    from loopline.sign_in.own import Own
    from loopline.up.ports import HeldPorts


@dataclass
class App:
    """Everything on one machine.

    ``endpoint`` is the inference server's base URL, None when the environment serves elsewhere; ``features_url`` the
    feature service's, ``portal_url`` the portal's and ``registry_url`` the registry's own UI, which start last and are
    not waited for; ``quarantined`` gives the reason by team; ``ports`` are ``web``, ``portal``, ``inference``,
    ``features`` and one a team, and ``held`` holds them; ``seconds`` is how long it took until everything was ready.
    """

    platform: Platform
    supervisor: Supervisor
    teams: tuple[str, ...]
    ports: dict[str, int]
    held: HeldPorts
    ui_url: str | None = None
    endpoint: str | None = None
    features_url: str | None = None
    portal_url: str | None = None
    registry_url: str | None = None
    quarantined: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def home(self) -> Path:
        """Return the folder of all state."""
        return self.platform.home

    @property
    def code_servers_elsewhere(self) -> dict[str, str]:
        """Return the addresses of code servers that run at sites, by team."""
        return {
            team: where for team, where in self.platform.environment.sites.code_servers.items() if team in self.teams
        }

    @property
    def graphql_url(self) -> str | None:
        """Return the address of Dagster's GraphQL."""
        return f"{self.ui_url}/graphql" if self.ui_url else None

    @cached_property
    def _own(self) -> Own:
        from loopline.sign_in.own import Own

        return Own(self.platform)

    @property
    def grpc_endpoint(self) -> str | None:
        """Return where the inference server listens for gRPC; None where it does not, or is elsewhere."""
        if self.endpoint is not None:
            with suppress(Unsupported):
                return self.platform.serving.grpc_endpoint("any")
        return None

    @property
    def dagster(self) -> Dagster:
        """Return a client of Dagster's GraphQL.

        Raises:
            Refused: the web server was not started.
        """
        from loopline.graphql import Dagster

        if self.graphql_url is None:
            raise Refused("Dagster's web server was not started", "leave out --no-web")
        return Dagster(self.graphql_url, headers=self._own)

    def pid(self, program: str) -> int:
        """Return the process id of ``daemon``, ``web``, ``inference`` or ``code:<team>``."""
        return self.supervisor.children[program].pid

    def facts(self) -> dict[str, Any]:
        """Return what other processes may want to know, as JSON."""
        return {
            "pid": os.getpid(),
            "home": str(self.home),
            "environment": str(self.platform.environment.path),
            "ui": self.ui_url,
            "graphql": self.graphql_url,
            "inference": self.endpoint,
            "grpc": self.grpc_endpoint,
            "features": self.features_url,
            "portal": self.portal_url,
            "registry": self.registry_url,
            "teams": list(self.teams),
            "quarantined": dict(self.quarantined),
            "ports": dict(self.ports),
            "pids": {name: child.pid for name, child in self.supervisor.children.items()},
            "seconds": round(self.seconds, 1),
        }
