"""``mlflow models serve`` answers raw rows, in an environment made from the model's own requirements alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopline.up.ports import free_port

PATIENCE_SECONDS = 300


def environment(model: Path, folder: Path) -> Path:
    """Make the environment; returns its interpreter."""
    python = folder / "environment/bin/python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(python.parent.parent)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(model / "requirements.txt")]
    subprocess.run(install, check=True)
    alone = [python, "-c", "import loopline"]  # elsewhere, for here it is a folder
    assert subprocess.run(alone, cwd=folder, check=False, capture_output=True).returncode
    return python


@contextmanager
def served(model: Path, folder: Path) -> Iterator[str]:
    """Serve a model until the block ends; gives the server's address."""
    python, port = environment(model, folder), free_port()
    command = [python, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean["PATH"] = f"{python.parent}{os.pathsep}{clean['PATH']}"  # MLflow starts its server by name
    with folder.joinpath("log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--host", "127.0.0.1"],
            cwd=folder, env=clean, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            _wait(server, f"http://127.0.0.1:{port}", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)
            server.wait(timeout=60)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/ping", timeout=10).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)  # between two looks: what is looked at tells nobody
        else:
            return
    raise AssertionError(log.read_text())


def test_mlflow_serves_raw_rows_in_a_fresh_environment(register, tmp_path):
    """Texts and nulls are answered as the endpoint does; nothing of Loopline is installed there."""
    made = register("lightgbm", tmp_path)
    with served(Path(made.source.removeprefix("file://")), tmp_path) as url:
        body = json.dumps({"dataframe_records": made.rows.to_pylist()}).encode()
        request = urllib.request.Request(f"{url}/invocations", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)["predictions"]
    assert found == pytest.approx(made.scores, abs=1e-6)
