"""A job's containers as processes of this machine; SageMaker's with the files and variables that it gives them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = "LOOPLINE_SAGEMAKER_ROOT"
SCRATCH = ("/tmp", "/tmp/loopline")
"""A container has these to itself; any other path is this machine's, as if it were mounted."""
_PLAIN = ("LANG", "PYTHONPATH")
ROLE = "ROLE_"
"""What begins so in the fake's own variables is given to every job without that beginning: who its role is."""


class HostProcess:
    """A container as a process: of its parent's variables it knows few, and it has a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"

    def run(self, command: list[str], said: dict[str, str], more: dict[str, str]) -> None:
        """Run a command with the variables that its job says, and those of the service."""
        kept = {name: os.environ[name] for name in _PLAIN if name in os.environ}
        kept |= {name.removeprefix(ROLE): value for name, value in os.environ.items() if name.startswith(ROLE)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        inside = {name: self._inside(value) for name, value in said.items()}
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"PATH": path, **kept, **more, **inside},
                    cwd=self.folder,
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{error}\n".encode())
                self.process = subprocess.Popen(["sh", "-c", "exit 127"])

    def _inside(self, value: str) -> str:
        return str(self.folder / value.lstrip("/")) if value in SCRATCH else value

    @property
    def code(self) -> int | None:
        """Return the exit code as a container's; None: it runs."""
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code

    def end(self, grace_seconds: float) -> None:
        """Ask it to end, and kill what is left after that time."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM if grace_seconds else signal.SIGKILL)
        until = time.monotonic() + grace_seconds
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)  # between two looks
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def lines(self, *, ended: bool) -> list[str]:
        """Return the whole lines that were written."""
        text = self.log.read_bytes().decode(errors="replace") if self.log.exists() else ""
        *whole, rest = text.split("\n")
        return [*whole, rest] if ended and rest else whole


class Container(HostProcess):
    """One host of a SageMaker job."""

    def __init__(self, request: dict[str, Any], host: str, hosts: list[str], folder: Path) -> None:
        super().__init__(folder)
        self.host, self.root = host, folder / "ml"
        for name in ("input/config", "input/data", "output/data", "model"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._request = request
        config = {"current_host": host, "hosts": hosts, "network_interface_name": "eth0"}
        self._configure("resourceconfig", config)
        self._configure("hyperparameters", request.get("HyperParameters", {}))
        self._configure("inputdataconfig", {one["ChannelName"]: {} for one in request.get("InputDataConfig", ())})

    def lay(self, channel: str, name: str, content: bytes) -> None:
        """Put a file into an input channel."""
        file = self.root / "input/data" / channel / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def start(self, region: str, arn: str) -> None:
        """Run the image's command."""
        algorithm = self._request["AlgorithmSpecification"]
        command = [*algorithm.get("ContainerEntrypoint", ["train"]), *algorithm.get("ContainerArguments", ())]
        service = {"TRAINING_JOB_NAME": self._request["TrainingJobName"], "TRAINING_JOB_ARN": arn, "AWS_REGION": region}
        self.run(command, self._request.get("Environment", {}), {**service, ROOT: str(self.root)})

    def _configure(self, name: str, content: Any) -> None:
        (self.root / f"input/config/{name}.json").write_text(json.dumps(content))

    @property
    def failure(self) -> str:
        """Return what the container says of its own failure: the first 1024 characters, as the service does."""
        file = self.root / "output/failure"
        return file.read_text()[:1024] if file.exists() else ""

    def output(self) -> list[Path]:
        """Return the files that are to be kept."""
        return sorted(path for path in (self.root / "output/data").rglob("*") if path.is_file())


def hosts(count: int) -> list[str]:
    """Name the hosts of a job. Names of several must lead somewhere: addresses of this machine's own stand for them."""
    if count == 1:
        return ["algo-1"]
    net = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}"
    return [f"{net}.{number}" for number in range(1, count + 1)]
