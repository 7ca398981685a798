"""The server as a command: what it imports, and what it says when it cannot start."""

from __future__ import annotations

import subprocess
import sys
import time
from http.client import HTTPConnection

import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.testing.parts.ports import free_port

HEAVY = {"dagster", "pandas", "polars", "mlflow", "sklearn", "scipy", "lightgbm", "pyarrow", "sqlalchemy", "optuna"}


def environment(folder, serving="vendor: local, root: {folder}/serving, port: 18080"):
    """Write an environment file."""
    file = folder / "environment.yaml"
    file.write_text(f"""
bindings:
  serving: {{{serving.format(folder=folder)}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
    return file


def test_a_worker_imports_nothing_heavy_and_takes_all_open_files(tmp_path):
    """In a fresh interpreter it has none of what training and Dagster need.

    A soft limit is for programs that know no better: each model's log and each connection is a file.
    """
    code = f"""
import os, resource, sys
os.environ["LOOPLINE_ENVIRONMENT"] = {str(environment(tmp_path))!r}
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
from loopline.inference_server.server import create
create()
print(sorted({HEAVY!r} & set(sys.modules)), resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_an_environment_that_is_none(tmp_path, refused_start):
    """A mistake is told in two lines, before any worker starts."""
    told = refused_start(tmp_path / "nothing.yaml")
    assert told.count("\n") == 2
    assert "nothing.yaml" in told


@pytest.mark.parametrize(
    ("serving", "words"),
    [
        ("vendor: local, root: {folder}", "port"),
        ("vendor: local, root: {folder}, port: 18080, colour: red", "colour"),
        ("vendor: nobody", "no vendor 'nobody'"),
    ],
)
def test_a_binding_that_is_wrong(tmp_path, refused_start, serving, words):
    """File and line come with it."""
    told = refused_start(environment(tmp_path, serving))
    assert words in told
    assert "environment.yaml:3" in told


def test_a_worker_takes_no_request_before_its_models_are_loaded(tmp_path):
    """Its port opens when they are, so that the first request is answered and a restarted worker fails none."""
    package = write_package(tmp_path / "package", Constant(0.2))
    write_desired(tmp_path / "serving", DesiredState("kit.model", 1, Served("1", package, "c1")))
    port = free_port()
    file = environment(tmp_path, f"vendor: local, root: {{folder}}/serving, port: {port}")
    server = subprocess.Popen([sys.executable, "-m", "loopline.inference_server", "--environment", str(file)])
    try:
        assert first_status(port, "/v2/models/kit.model/ready") == 200
    finally:
        server.terminate()
        server.wait(200)


def first_status(port, path):
    """Ask until the port is open, and return the status of the first answer."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.005)  # short, since the first moment of an open port is what is looked for
        finally:
            connection.close()
    raise TimeoutError(f"nothing listens on port {port}")
