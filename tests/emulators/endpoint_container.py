"""A container of an endpoint as processes of this machine: our image's entry point, with what a service gives it."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from loopline.platform_core.testing.parts.ports import free_ports
from tests.emulators.training_container import ROLE, SCRATCH

GRACE_SECONDS = 30
_ENTRY = "loopline.resources.managed_endpoints.container"
_PLAIN = ("LANG", "PYTHONPATH")


class EndpointContainer:
    """One machine's container; of its parent's variables it knows ``PATH`` only, and it has a home of its own.

    Its role is the one that jobs have, told by variables as for them.
    """

    def __init__(self, said: dict[str, Any], folder: Path, port_variable: str, ping: str) -> None:
        self.folder, self._ping, self.port = folder, ping, free_ports(1)[0]
        self.answers = False
        folder.joinpath("tmp").mkdir(parents=True)
        given = {name: self._inside(value) for name, value in said.get("Environment", {}).items()}
        kept = {name: os.environ[name] for name in _PLAIN if name in os.environ}
        kept |= {name.removeprefix(ROLE): value for name, value in os.environ.items() if name.startswith(ROLE)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._variables = {"PATH": path, **kept, **given, port_variable: str(self.port)}
        self._start()

    def look(self) -> None:
        """Ask whether it answers, as the service does; start one that has fallen anew."""
        if self.process.poll() is not None:
            self.answers = False
            self._start()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", self._ping)
            self.answers = connection.getresponse().status == 200
        except OSError:
            self.answers = False
        finally:
            connection.close()

    def ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Hand a request on; a container that has just fallen raises ``OSError``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def end(self) -> None:
        """Ask it to end, and kill what is left when its time is over."""
        self.answers = False
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill all of its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _start(self) -> None:
        with self.folder.joinpath("log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", _ENTRY, "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._variables,
                cwd=self.folder,
                start_new_session=True,
            )

    def _inside(self, value: str) -> str:
        """Let the container's own folders be folders of its own; any other path is this machine's, as if mounted."""
        return str(self.folder / value.lstrip("/")) if value in SCRATCH else value


class Fleets:
    """The containers of a service's endpoints: ``there`` says which there are, and one that falls is started anew."""

    def __init__(self, folder: Path, port_variable: str, there: Callable[[], list[EndpointContainer]]) -> None:
        self._folder, self._port_variable, self._there = folder, port_variable, there
        self._numbers, self._ended = itertools.count(1), threading.Event()
        threading.Thread(target=self._keep_up, daemon=True).start()

    def brought_up(self, count: int, said: dict[str, Any], ping: str, seconds: float) -> list[EndpointContainer] | None:
        """Start containers and wait until all answer; None where they do not in time, and are ended."""
        found = [
            EndpointContainer(said, self._folder / f"container-{next(self._numbers)}", self._port_variable, ping)
            for _ in range(count)
        ]
        end = time.monotonic() + seconds
        while not all(one.answers for one in found):
            if time.monotonic() > end or self._ended.is_set():
                end_all(found)
                return None
            for one in found:
                one.look()
            time.sleep(0.05)  # between two pings
        return found

    def end(self) -> None:
        """Kill every container, and start none anew."""
        self._ended.set()
        for one in self._there():
            one.kill()

    def _keep_up(self) -> None:
        while not self._ended.wait(0.2):
            for one in self._there():
                with suppress(OSError):
                    one.look()


def end_all(containers: list[EndpointContainer]) -> None:
    """Ask containers to end, all at once: each has its time for it."""
    threads = [threading.Thread(target=one.end) for one in containers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
