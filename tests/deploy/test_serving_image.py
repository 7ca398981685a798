"""The serving image's list of packages is enough: a server answers with nothing else importable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import distribution
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from packaging.requirements import Requirement

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.training.packaging.package import package

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy" / "images" / "serving"
START = """
import sys
sys.path[:] = [{root!r}, {site!r}, *(path for path in sys.path if "site-packages" not in path)]
sys.argv = ["runtime", "--environment", {environment!r}]
import runpy
runpy.run_module("loopline.inference_server", run_name="__main__")
"""
UNWANTED = {"dagster", "pandas", "mlflow", "scikit-learn", "scipy", "polars", "pyarrow", "sqlalchemy"}


def names(file):
    """Return the distributions that a list names."""
    lines = (IMAGE / file).read_text().splitlines()
    return {Requirement(line).name for line in lines if line and not line.startswith("#")}


def with_dependencies(wanted):
    """Return distributions and all that they need."""
    found, open_ = set(), set(wanted)
    while open_:
        name = re.sub(r"[-_.]+", "-", open_.pop()).lower()
        found.add(name)
        needed = [Requirement(line) for line in distribution(name).requires or []]
        open_ |= {one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})} - found
    return found


@pytest.fixture(scope="module")
def packages():
    """Give the distributions of the image."""
    return with_dependencies(names("requirements.txt")) | names("without-dependencies.txt")


@pytest.fixture
def site(packages, tmp_path):
    """Give a folder with the distributions of the image and no others, as links."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in [*packages, "loopline"]:
        for file in distribution(name).files or []:
            top, target = file.parts[0], Path(distribution(name).locate_file(file.parts[0]))
            if top not in ("..", "__pycache__") and not folder.joinpath(top).exists():
                folder.joinpath(top).symlink_to(target)
    return folder


def test_the_list_holds_nothing_of_training(packages):
    """Neither Dagster nor pandas nor mlflow nor what they bring along."""
    assert not packages & UNWANTED


def test_a_server_answers_with_these_packages_alone(site, tmp_path):
    """A LightGBM package is loaded and asked in an interpreter that can import nothing else."""
    _package(tmp_path)
    port = free_port()
    environment = tmp_path / "environment.yaml"
    environment.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{tmp_path}/serving", port: {port}}}
  online_store: {{vendor: sqlite, path: "{tmp_path}/online.db"}}
""")
    code = START.format(root=str(ROOT), site=str(site), environment=str(environment))
    server = subprocess.Popen([sys.executable, "-I", "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        answer = _answer(server, port)
    finally:
        server.terminate()
        server.communicate(timeout=20)
    assert 0 < answer["outputs"][0]["data"][0] < 1


def _package(folder):
    x = np.random.default_rng(0).normal(size=(500, 2))
    booster = lightgbm.train({"objective": "binary", "verbosity": -1}, lightgbm.Dataset(x, x[:, 0] > 0), 5)
    features = [FeatureField(name, "request") for name in ("a", "b")]
    draft = Manifest("m", "pickle", "", features, [], ["key"], {}, 0.5, "t", "c", Parity(0, 0.0, ""))
    package(booster, draft, x, folder / "package")
    write_desired(folder / "serving", DesiredState("m", 1, Served("1", folder / "package", "c")))


def _answer(server, port):
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 0.5]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/models/m/infer", json.dumps({"inputs": [tensor]}).encode()
    )
    end = time.monotonic() + 300
    while time.monotonic() < end and server.poll() is None:
        try:
            return json.load(urllib.request.urlopen(request, timeout=20))
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read()) from error
        except OSError:
            time.sleep(0.05)  # between two looks: it loads as long as it takes
    raise AssertionError(f"no answer ({server.poll()}): {server.communicate(timeout=20)[1]}")
