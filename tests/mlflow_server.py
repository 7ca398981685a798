"""A real MLflow server, which keeps versions in a database and artifacts in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopline.platform_core.testing.parts.ports import free_ports

START_SECONDS = 180
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Five processes less, for what nobody asks here."""


@contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """Run it below a folder; gives its port once it answers."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--allowed-hosts", "*", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--serve-artifacts"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with folder.joinpath("log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | _LEAN, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, folder / "log")
        yield port
    finally:
        server.terminate()  # its worker ends with it
        server.wait(60)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:
            time.sleep(0.2)  # between two questions: it tells nobody that it is ready
        else:
            return
    raise TimeoutError(f"no MLflow server: {log.read_text()[-2000:]}")
