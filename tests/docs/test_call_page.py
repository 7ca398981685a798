"""The page about calling an endpoint: its commands and programs do what it shows, its settings are the vendor's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from benchmarks.peers import interpreter
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import Column, write_package
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.local.serving import LocalServing
from tests.docs.page import Page

PAGE = Page("how-to/call-an-endpoint.md")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Run a server with the model of the examples; gives a function that puts its ports into a text."""
    folder, port, grpc_port = tmp_path_factory.mktemp("page"), free_port(), free_port()
    file = folder / "environment.yaml"
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {port}, grpc_port: {grpc_port}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
    package = write_package(folder / "package", Column(0))
    write_desired(folder / "serving", DesiredState("shop.returns", 1, Served("1", package, "c-1")))
    with inference_server(file, port):
        yield lambda text: text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace(":8081", f":{grpc_port}")


def ran(python, program):
    """Run a program and return what it printed."""
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout


def test_curl(page, steps, open_shell, tmp_path):
    """Each command prints what the page says."""
    shell = open_shell(tmp_path, {"PATH": "/usr/bin:/bin"})
    taken = [step.take(shell) for step in steps(page(PAGE.text)) if hasattr(step, "line")]
    assert len(taken) == 3


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_triton(page, kind):
    """The program, and the same after the two changes that the page names."""
    program = PAGE.blocks("python")[0]
    if kind == "grpc":
        program = program.replace("tritonclient.http", "tritonclient.grpc").replace(":8080", ":8081")
        program = program.replace(', request_compression_algorithm="gzip"', "")
    assert ran(sys.executable, page(program)) == PAGE.blocks("text")[0]


def test_kserve(page):
    """The program, in KServe's own environment."""
    assert ran(interpreter("kserve"), page(PAGE.blocks("python")[1])) == PAGE.blocks("text")[1]


def test_the_limits_are_the_defaults():
    """The page shows every limit with the value that it has by itself."""
    shown = yaml.safe_load(PAGE.blocks("yaml")[1])["serving"]
    assert shown["limits"] == Limits().model_dump()
    assert shown.pop("vendor") == "local"
    assert LocalServing(**shown).limits == Limits()
