"""Startup sequence: programs without dependencies start at once, others when what they need is ready."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event as Flag
from typing import cast
from urllib.parse import urlsplit

from loopline.platform_core import environment as environments
from loopline.platform_core.contracts.serving import SHADOW, Serving
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.foundation.ports import HOST
from loopline.up import dagster_home
from loopline.up.app import App
from loopline.up.ports import answers
from loopline.up.program import Event, last_line, spawn
from loopline.up.programs import INFERENCE, WEB, Programs, code_server_name
from loopline.up.supervisor import Supervisor

OURS = ("root", "host", "port")
"""Fields of a serving vendor that say where a server of ours listens on this machine; empty: none runs on it."""
RELAYED = "feed"
"""What a serving vendor has whose servers need a relay beside them."""


_OWN_ERROR = re.compile(r"^loopline\.platform_core\.errors\.\w+: ")


class Stopped(Exception):  # noqa: N818 - a signal, not an error
    """Whoever started us wants us to end before all was ready."""


@dataclass(frozen=True)
class Waiting:
    """Waits for conditions, as long as nobody wants us to stop."""

    supervisor: Supervisor
    stop: Flag
    timeout_seconds: float

    def until(self, ready: Callable[[], bool], what: str, log: Path, lost: Callable[[], bool] = bool) -> None:
        """Wait until a condition holds.

        Raises:
            Stopped: the flag was set. StoreUnavailable: it is lost or took too long; the fix names the log.
        """
        give_up = time.monotonic() + self.timeout_seconds
        while not ready():
            if self.stop.wait(0.1):
                raise Stopped
            if lost() or time.monotonic() > give_up:
                why = "cannot run" if lost() else f"was not ready after {self.timeout_seconds:.0f} s"
                raise StoreUnavailable(f"{what} {why}: {last_line(log)}", f"read {log}")

    def for_program(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until a program is ready; one that dies is started again, until the supervisor gives it up."""
        child = self.supervisor.children[name]
        self.until(ready, name, child.program.log, lambda: child.gave_up)

    def survives(self, name: str, ready: Callable[[], bool]) -> bool:
        """Wait until a program is ready; False when it died before that."""
        child = self.supervisor.children[name]
        self.until(lambda: ready() or child.deaths > 0, name, child.program.log)
        return child.deaths == 0


def everything(app: App, programs: Programs, waiting: Waiting) -> None:
    """Bring up instance, ledger, inference server, code servers, daemon, web server, feature service and watchdog."""
    folder = app.home / "dagster"
    known = dagster_home.prepare(folder)
    initialising = spawn(programs.initialiser())
    try:
        _ = app.platform.ledger  # its migrations run here, before any child opens it
        _start_inference_server(app, programs)
        _start_sites(app, programs)
        if not known:  # a code server opens the instance too
            _initialised(initialising, programs, waiting)
        servers = _start_code_servers(app, programs, waiting)
        _initialised(initialising, programs, waiting)
    finally:
        initialising.kill()
        initialising.wait()
    workspace = dagster_home.write_grpc_workspace(folder / "workspace.yaml", servers, app.code_servers_elsewhere)
    _start_dagster(app, programs, workspace, waiting)
    _reapply(app, waiting)
    _start_shadow(app, programs)
    _start_feature_server(app, programs)
    _start_registry_ui(app, programs)
    _start_portal(app, programs)
    app.supervisor.start(programs.watchdog(app.ui_url or ""))


def _initialised(initialising: subprocess.Popen[bytes], programs: Programs, waiting: Waiting) -> None:
    log = programs.initialiser().log
    waiting.until(lambda: initialising.poll() is not None, "Dagster's instance", log)
    if initialising.returncode:
        raise StoreUnavailable(f"Dagster's instance cannot be initialised: {last_line(log)}", f"read {log}")


def _start_inference_server(app: App, programs: Programs) -> None:
    """Start the inference server if the environment serves by one of ours."""
    serving = app.platform.serving
    if _is_ours(serving):
        url = urlsplit(serving.endpoint("any"))
        app.endpoint = f"{url.scheme}://{url.netloc}"
        _start_server(app, programs, serving)


def _start_sites(app: App, programs: Programs) -> None:
    """Start what answers at sites that are on this machine: where no code server is said to run elsewhere."""
    file, every = app.platform.environment.path, app.platform.environment.sites
    for site in sorted({every.of(team) for team in app.teams if team not in app.code_servers_elsewhere} - {""}):
        serving = cast("Serving", environments.read(file, ("serving",), site).bindings["serving"])
        if _is_ours(serving):
            _start_server(app, programs, serving, site)
            if SHADOW in serving.can:
                app.supervisor.start(programs.shadow(file, site))


def _start_server(app: App, programs: Programs, serving: Serving, site: str = "") -> None:
    """Start an inference server, and what relays for it where its states lie in an object store."""
    file = app.platform.environment.path
    app.supervisor.start(programs.inference_server(file, site))
    if hasattr(serving, RELAYED):
        app.supervisor.start(programs.relay(file, site))


def _is_ours(serving: Serving) -> bool:
    """Say whether it is answered by a server of ours on this machine."""
    return all(getattr(serving, field, None) for field in OURS) and not getattr(serving, "elsewhere", False)


def _start_shadow(app: App, programs: Programs) -> None:
    """Start the replay of shadows beside an inference server of ours; nothing waits for it."""
    if app.endpoint is not None and SHADOW in app.platform.serving.can:
        app.supervisor.start(programs.shadow(app.platform.environment.path))


def _start_feature_server(app: App, programs: Programs) -> None:
    """Start the feature service last, so that its start takes no time from those that are waited for."""
    _choose_again(app, "features")
    app.features_url = f"http://{HOST}:{app.ports['features']}"
    app.supervisor.start(programs.feature_server(app.ports["features"]))


def _start_registry_ui(app: App, programs: Programs) -> None:
    """Start the registry's own UI where it is wanted and the vendor brings one; nothing waits for it."""
    argv = app.platform.registry.ui(app.ports["registry"]) if "registry" in app.ports else ()
    if argv:
        app.registry_url = f"http://{HOST}:{app.ports['registry']}"
        app.supervisor.start(programs.registry_ui(argv))


def _start_portal(app: App, programs: Programs) -> None:
    """Start the portal beside Dagster's UI; nothing waits for it either."""
    if "portal" in app.ports:
        _choose_again(app, "portal")
        app.portal_url = f"http://{HOST}:{app.ports['portal']}"
        links = {"dagster": app.ui_url, "inference": app.endpoint, "registry": app.registry_url}
        app.supervisor.start(programs.portal(app.ports["portal"], **links))


def _choose_again(app: App, name: str) -> None:
    """Look for a free port once more: what starts last may find that another program took its port meanwhile."""
    app.ports[name] = app.held.hold(app.ports[name])


def _start_code_servers(app: App, programs: Programs, waiting: Waiting) -> dict[str, int]:
    ports = {name: app.ports[name] for name in (*app.teams, PLATFORM) if name not in app.code_servers_elsewhere}
    for team, port in ports.items():
        app.supervisor.start(programs.code_server(team, port))
    for team, port in ports.items():
        name = code_server_name(team)
        if not waiting.survives(name, partial(answers, port)):
            _quarantine(app, team, f"its code server died: {app.supervisor.children[name].ending}")
    return ports


def _start_dagster(app: App, programs: Programs, workspace: Path, waiting: Waiting) -> None:
    if "web" in app.ports:
        app.supervisor.start(programs.web_server(workspace, app.ports["web"]))
    app.supervisor.start(programs.daemon(workspace))
    if "web" in app.ports:
        app.ui_url = f"http://{HOST}:{app.ports['web']}"
        waiting.for_program(WEB, partial(_workspace_loaded, app))


def _workspace_loaded(app: App) -> bool:
    if not answers(app.ports["web"]):
        return False
    try:
        locations = app.dagster.locations()
    except StoreUnavailable:
        return False
    if any(location.state == "loading" for location in locations) or len(locations) <= len(app.teams):
        return False
    for broken in (location for location in locations if location.state == "broken"):
        if broken.name not in app.quarantined:
            _quarantine(app, broken.name, broken.reason)
    return True


def _quarantine(app: App, team: str, reason: str) -> None:
    said = _OWN_ERROR.sub("", reason)
    app.quarantined[team] = said
    app.supervisor.report(Event(team, "quarantined", said))


def _reapply(app: App, waiting: Waiting) -> None:
    """Ask for the state that the ledger knows, once the inference server lives; what cannot be is told by name."""
    from loopline.platform_core.loop.deployments import deployments

    if app.endpoint is not None:
        waiting.for_program(INFERENCE, partial(_lives, f"{app.endpoint}/v2/health/live", app.platform.serving))
    for ref, error in deployments.reapply(app.platform).items():
        app.supervisor.report(Event(str(ref), "not served", str(error)))


def _lives(url: str, serving: Serving) -> bool:
    tls = getattr(serving, "tls", None)
    known = [urllib.request.HTTPSHandler(context=tls.client_context())] if tls else []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *known)
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False
