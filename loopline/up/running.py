"""Context manager ``running()``: everything on one machine, ready inside the block and stopped after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag

from loopline.platform_core import environment as environments
from loopline.platform_core import sites
from loopline.platform_core.alarms.pages import DAGSTER_URL
from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.ports import HOST
from loopline.platform_core.platform import Platform
from loopline.up import dagster_home, lock, start
from loopline.up.app import App
from loopline.up.ports import HeldPorts
from loopline.up.program import Event
from loopline.up.programs import Programs, child_environment
from loopline.up.supervisor import Supervisor
from loopline.up.sweep import end_marked, new_mark

INFERENCE_PORT = "LOOPLINE_INFERENCE_PORT"
"""By this variable an environment file takes the inference server's port: ``${LOOPLINE_INFERENCE_PORT:-8080}``."""
DEFAULT_INFERENCE_PORT = 8080
FEATURES_PORT = 8090
PORTAL_PORT = 8790
REGISTRY_PORT = 5000


def _silent(event: Event) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Options:
    """How to run: Dagster's wanted port, with or without it and the portal, whom to tell, a flag to give up waiting.

    ``registry_ui`` starts the registry's own UI as well, where its vendor brings one.
    """

    port: int = 3000
    web: bool = True
    registry_ui: bool = False
    timeout_seconds: float = 180.0
    report: Callable[[Event], None] = _silent
    stop: Flag = field(default_factory=Flag)


@contextmanager
def running(
    home: Path | str | None = None,
    environment: Path | str | None = None,
    *,
    web: bool = True,
    options: Options | None = None,
) -> Iterator[App]:
    """Start everything and give it back when it is ready; end it in order when the block is left.

    The report of ``options`` is called from other threads. This process's ``LOOPLINE_HOME`` and
    ``LOOPLINE_ENVIRONMENT`` are those of the app while it runs.

    Raises:
        Refused: another supervisor runs in this home, or this process is one of a site.
        InvalidEnvironment: the file does not bind.
        StoreUnavailable: something was not ready in time. Stopped: the flag of ``options`` was set.
    """
    chosen = options or Options(web=web)
    if sites.here():
        raise Refused(
            f"{sites.SITE} is {sites.here()}, and everything is started at the control plane",
            f"unset {sites.SITE}; what runs at a site is in docs/how-to/run-in-several-sites.md",
        )
    folder = Path(home or environments.home()).absolute()
    file = Path(environment or environments.environment_file()).absolute()
    with ExitStack() as stack:
        stack.enter_context(lock.only_one(folder))
        stack.callback(lock.withdraw, folder)
        held = stack.enter_context(closing(HeldPorts()))
        ports = _ports(chosen, held, file)
        stack.enter_context(_variables(folder, file, ports))
        yield _started(chosen, ports, held, stack)


def _started(options: Options, ports: dict[str, int], held: HeldPorts, stack: ExitStack) -> App:
    begun = time.monotonic()
    platform = Platform.open()
    stack.callback(platform.close)
    mark = new_mark()
    stack.callback(end_marked, mark)
    supervisor = stack.enter_context(Supervisor(options.report))
    app = App(platform, supervisor, dagster_home.team_names(), ports, held)
    programs = Programs(platform.home, child_environment(mark))
    start.everything(app, programs, start.Waiting(supervisor, options.stop, options.timeout_seconds))
    app.seconds = time.monotonic() - begun
    supervisor.report = _announcing(app, options.report)
    lock.announce(app.home, app.facts())
    return app


def _announcing(app: App, report: Callable[[Event], None]) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        report(event)
        if event.what == "restarted":
            lock.announce(app.home, app.facts())

    return on_event


def _ports(options: Options, held: HeldPorts, environment: Path) -> dict[str, int]:
    wanted = int(os.environ.get(INFERENCE_PORT, DEFAULT_INFERENCE_PORT))
    ports = {"inference": held.hold(wanted), "features": held.hold(FEATURES_PORT)} | (
        {"web": held.hold(options.port), "portal": held.hold(PORTAL_PORT)} if options.web else {}
    )
    if options.registry_ui:
        ports |= {"registry": held.hold(REGISTRY_PORT)}
    return ports | {team: held.hold() for team in dagster_home.location_names(environment)}


@contextmanager
def _variables(home: Path, environment: Path, ports: Mapping[str, int]) -> Iterator[None]:
    """Set the variables by which this process and its children find home, environment and inference server."""
    values = {
        environments.HOME: str(home),
        environments.FILE: str(environment),
        INFERENCE_PORT: str(ports["inference"]),
    } | ({DAGSTER_URL: f"http://{HOST}:{ports['web']}"} if "web" in ports else {})
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
