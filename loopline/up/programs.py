"""Commands of all programs on one machine, and their stop order."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from loopline.platform_core.environment import home
from loopline.platform_core.foundation.ports import HOST
from loopline.platform_core.sites import SITE
from loopline.up.program import Program
from loopline.up.sweep import MARK
from loopline.web_tls import VARIABLES

DAEMON = "daemon"
WEB = "web"
INFERENCE = "inference"
RELAY = "relay"
SHADOW = "shadow"
FEATURES = "features"
PORTAL = "portal"
REGISTRY = "registry"
WATCHDOG = "watchdog"


class Rank(IntEnum):
    """Who ends first: nothing new is started, then nobody asks, then running work ends, then answers end."""

    DAEMON = 0
    WEB = 1
    CODE = 2
    INFERENCE = 3


@dataclass(frozen=True)
class Programs:
    """Makes the commands for one home; all children see ``env``."""

    home: Path
    env: Mapping[str, str]

    def initialiser(self) -> Program:
        """Make Dagster's databases; it ends by itself, and must run alone when they are new."""
        return self._program("initialise", Rank.DAEMON, "-m", "loopline.up.instance")

    def code_server(self, team: str, port: int) -> Program:
        """Serve a team's definitions; a team that does not load is served as its error."""
        return self._program(
            code_server_name(team),
            Rank.CODE,
            *("-m", "loopline.asset_defs.code_server", team, "--host", HOST, "--port", str(port)),
            *("--lazy-load-user-code", "--use-python-environment-entry-point"),
        )

    def web_server(self, workspace: Path, port: int) -> Program:
        """Serve Dagster's UI and GraphQL, behind our guard."""
        where = ("--host", HOST, "--port", str(port), "--workspace", str(workspace))
        return self._program(WEB, Rank.WEB, "-m", "loopline.up.web_server", *where)

    def daemon(self, workspace: Path) -> Program:
        """Run sensors, schedules and the queue."""
        return self._program(DAEMON, Rank.DAEMON, "-m", "dagster._daemon", "run", "--workspace", str(workspace))

    def inference_server(self, environment: Path, site: str = "") -> Program:
        """Answer for models, of a site if one is named."""
        return self._of(site, INFERENCE, "loopline.inference_server", environment)

    def relay(self, environment: Path, site: str = "") -> Program:
        """Carry states to the inference server, and its log away."""
        return self._of(site, RELAY, "loopline.relay", environment)

    def shadow(self, environment: Path, site: str = "") -> Program:
        """Replay answered requests through shadows, with the processor time that nobody else wants."""
        return self._of(site, SHADOW, "loopline.platform_core.runtime.shadow", environment)

    def _of(self, site: str, name: str, module: str, environment: Path) -> Program:
        """Run a module on the bindings of a site, "" for the control plane's."""
        named = f"{name}:{site}" if site else name
        program = self._program(named, Rank.INFERENCE, "-m", module, "--environment", str(environment))
        return replace(program, env={**self.env, SITE: site}) if site else program

    def feature_server(self, port: int) -> Program:
        """Answer for features: the registry, online values, training sets."""
        where = ("--host", HOST, "--port", str(port))
        return self._program(FEATURES, Rank.INFERENCE, "-m", "loopline.features_api.server", *where)

    def watchdog(self, dagster_url: str) -> Program:
        """Look for what is wrong and tell people; it ends among the first, so that an end in order is no alarm."""
        return self._program(
            WATCHDOG, Rank.DAEMON, "-m", "loopline.cli.installation.watchdog", "--dagster", dagster_url
        )

    def portal(self, port: int, **neighbours: str | None) -> Program:
        """Show people what is live and why, with links to its neighbours (``dagster``, ``inference``, ...)."""
        where = ("--host", HOST, "--port", str(port))
        links = [part for name, url in neighbours.items() if url for part in (f"--{name}", url)]
        return self._program(PORTAL, Rank.WEB, "-m", "loopline.portal.server", *where, *links)

    def registry_ui(self, argv: tuple[str, ...]) -> Program:
        """Show versions as the registry's vendor shows them."""
        return Program(REGISTRY, argv, self.home / "logs" / f"{REGISTRY}.log", self.env, Rank.WEB)

    def _program(self, name: str, rank: Rank, *arguments: str) -> Program:
        log = self.home / "logs" / f"{name.replace(':', '-')}.log"
        return Program(name, (sys.executable, *arguments), log, self.env, rank)


def code_server_name(team: str) -> str:
    """Name a team's code server among the programs."""
    return f"code:{team}"


def child_environment(mark: str) -> dict[str, str]:
    """Return the variables that every child sees; home and environment file are in force in this process already."""
    scripts = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}  # all is on this machine
    return {
        **inherited,
        MARK: mark,
        "DAGSTER_HOME": str(home() / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore"),
        "GIT_PYTHON_REFRESH": "quiet",
    }
