"""Entry point of a managed endpoint's container: inference server, relay and shadow replay.

``python -m loopline.resources.managed_endpoints.container`` is the image's entry point; what a service appends to it
(SageMaker's ``serve``) changes nothing. The environment file comes in variables.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

from loopline.platform_core import environment
from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import InvalidEnvironment, LooplineError
from loopline.platform_core.foundation import logs
from loopline.platform_core.foundation.signals import set_by_signals
from loopline.resources.managed_endpoints.environment_text import land

WORKERS_VARIABLE = "LOOPLINE_SERVER_WORKERS"
SERVER_ENDS_SECONDS, RELAY_ENDS_SECONDS = 12, 14
"""Together less than the 30 s that SageMaker gives a container between asking it to end and killing it."""
_SCRATCH = "/tmp/loopline"  # noqa: S108 - the container's own
_CARRIED = "carried"
"""The file below the server's root by which the relay says that states were brought."""
_LOOK_SECONDS, _AGAIN_SECONDS = 0.1, 1.0
_LOG = logging.getLogger(__name__)


class Program:
    """One process of the container."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.name = module
        self._command = [sys.executable, "-m", module, *arguments]
        self._ended_at = 0.0
        self._process = subprocess.Popen(self._command)  # noqa: S603 - our own interpreter and module

    @property
    def code(self) -> int | None:
        """Return its exit code; None: it runs."""
        return self._process.poll()

    def keep_up(self) -> None:
        """Start it again a moment after it has fallen."""
        if self.code is None:
            return
        if not self._ended_at:
            self._ended_at = time.monotonic()
            _LOG.error("%s ended by itself (%d) and is started again", self.name, self.code)
        elif time.monotonic() - self._ended_at > _AGAIN_SECONDS:
            self._ended_at = 0.0
            self._process = subprocess.Popen(self._command)  # noqa: S603 - our own interpreter and module

    def ask_to_end(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def end(self, seconds: float) -> None:
        """Ask it to end, wait so long, and kill what is left."""
        self.ask_to_end()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> int:
    """Serve until told to stop, or until the server has fallen: then whoever runs the container starts another one."""
    logs.start()
    try:
        file = land(os.environ, Path(os.environ.get(environment.HOME, _SCRATCH)) / "environment.yaml")
        os.environ[environment.FILE] = str(file)
        root = _root(environment.read(file, only=("serving",)).bindings["serving"], file)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a container speaks by its log
        return 2
    with set_by_signals() as stop:
        return _run(root, ("--environment", str(file)), stop)


def _root(serving: Vendor, file: Path) -> Path:
    root = getattr(serving, "root", "")
    if not root:
        raise InvalidEnvironment(f"{file}: serving has no 'root'", "set serving.root to a folder of the container's")
    return Path(root)


def _run(root: Path, given: tuple[str, ...], stop: Event) -> int:
    """Start the relay first, by whom a server finds its states, and let it end last, when logs are sent."""
    drain = ("--drain-seconds", str(RELAY_ENDS_SECONDS - 2))
    relay = Program("loopline.relay", *given, "--server", _name(), *drain)
    beside = [relay]
    server: Program | None = None
    while not stop.wait(_LOOK_SECONDS):
        for one in beside:
            one.keep_up()
        if server is None and root.joinpath(_CARRIED).exists():
            server = Program("loopline.inference_server", *given, "--workers", os.environ.get(WORKERS_VARIABLE, "1"))
            beside.append(Program("loopline.platform_core.runtime.shadow", *given))
        if server is not None and server.code is not None:
            _LOG.error("the inference server ended by itself (%d); so does its container", server.code)
            break
    return _end(server, beside)


def _end(server: Program | None, beside: list[Program]) -> int:
    code = 0 if server is None or server.code is None else server.code or 1
    for one in beside[1:]:
        one.ask_to_end()
    if server is not None:
        server.end(SERVER_ENDS_SECONDS)
    for one in reversed(beside):
        one.end(RELAY_ENDS_SECONDS)
    return code


def _name() -> str:
    """Name this server as no other is named: containers of one endpoint may have one host name."""
    return f"{socket.gethostname()}-{secrets.token_hex(4)}"


if __name__ == "__main__":
    sys.exit(main())
