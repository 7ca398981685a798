"""Starts the real inference server in a subprocess, for tests."""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0


@contextmanager
def inference_server(
    environment: Path,
    port: int,
    workers: int = 1,
    context: ssl.SSLContext | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server of an environment file until the block ends; it has looked at every desired state by then.

    With ``context`` it is asked over TLS whether it is ready. It sees ``variables``, this process's where none are
    given.

    The process leads a group of its own, so that a test may kill it with all its workers.
    """
    command = [sys.executable, "-m", "loopline.inference_server", "--environment", str(environment)]
    process = subprocess.Popen([*command, "--workers", str(workers)], start_new_session=True, env=variables)
    try:
        _wait_until_ready(process, port, context)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


@contextmanager
def shadow_process(environment: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that replays shadows until the block ends."""
    command = [sys.executable, "-m", "loopline.platform_core.runtime.shadow", "--environment", str(environment)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)  # it stands back from everybody: on a busy machine it waits long for its turn to end


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, context: ssl.SSLContext | None) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if _is_ready(port, context):
            return
        time.sleep(0.05)
    raise TimeoutError(f"the inference server is not ready on port {port} (exit status {process.poll()})")


def _is_ready(port: int, context: ssl.SSLContext | None) -> bool:
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
        if context
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
