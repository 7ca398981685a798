"""Whoever installs the wheel has one package, and all that it takes to begin, to check, to run and to see the demo."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
import zipfile
from importlib.metadata import files as files_of
from pathlib import Path

import pytest

from loopline.platform_core.testing.parts.ports import free_port
from tests.wheel.conftest import needed

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = {
    "environments": ["laptop.yaml", "servers.yaml"],
    "prices": ["aws-us-east-1.yaml", "azure-eastus.yaml", "google-cloud-run.yaml"],
    "alerts": ["data.yaml", "loop.yaml", "serving.yaml", "streams.yaml", "watch.yaml"],
    "dashboards": ["data.json", "loop.json", "platform.json", "serving.json", "watch.json"],
}


def test_one_package_is_imported(wheel):
    """Nothing lands beside ``loopline`` in site-packages, and the shops of our tests are not in it."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"loopline"}
    assert not [name for name in names if name.startswith("loopline/stories")]
    assert {
        "loopline/platform_core/errors.py",
        "loopline/resources/delta/lake.py",
        "loopline/asset_defs/team.py",
    } <= set(names)


def test_the_package_itself_is_used(user):
    """The programs below run on what the wheel brought, not on this checkout."""
    said = user.run("python", "-c", "import loopline.platform_core as core; print(core.__file__)")
    assert said.stdout.startswith(str(user.environment)), said.stderr


def test_an_installation_has_a_size():
    """What ``make install`` brings stays small: bytes of files, as pip's records name them, without bytecode."""
    files = [file for name in needed("loopline") for file in files_of(name) or () if file.suffix != ".pyc"]
    paths = {Path(file.locate()) for file in files}
    assert sum(path.stat().st_size for path in paths if path.is_file()) < 900e6


def test_an_editable_installation_copies_nothing():
    """What lies in the repository is read there: no orders and no environment files lie in site-packages as well."""
    assert not [file for file in files_of("loopline") or () if "share" in file.parts]


PUBLISH = """
import sys
from pathlib import Path
from loopline.platform_core.testing.registry import publication
from loopline.resources.mlflow.registry import MlflowRegistry
home = Path(sys.argv[1])
registry = MlflowRegistry(tracking_uri=f"sqlite:///{home}/mlflow.db", artifacts=str(home / "files"))
registry.publish(publication("t.m", home, {"key": "k"}))
version = registry._client.get_model_version("t.m", "1")
package = registry.fetch("t.m", "1", home / "fetched")
assert "pandas" not in sys.modules
print(version.description)
print(sorted(file.name for file in Path(version.source).iterdir()) == sorted(file.name for file in package.iterdir()))
"""


def test_a_version_says_what_it_lacks(user, tmp_path):
    """Without the extra ``mlflow`` a version has what Loopline serves, and names what writes MLflow's form."""
    done = user.run("python", "-c", PUBLISH, str(tmp_path))
    told, same = done.stdout.splitlines()
    assert "pip install 'loopline[mlflow]'" in told, done.stderr
    assert same == "True"
    assert told in done.stderr


def test_nothing_here_says_what_to_do(user, tmp_path):
    """In an empty folder a command that needs an environment file names the command that writes it."""
    empty = type(user)(user.environment, tmp_path)
    said = empty.run("loopline", "validate")
    assert said.returncode == 1
    assert "there is no environment file" in said.stdout
    assert "loopline init" in said.stdout


@pytest.fixture(scope="module")
def begun(user):
    """Begin in the empty folder, as the first page says."""
    done = user.run("loopline", "init", "--output", "json")
    assert done.returncode == 0, done.stderr
    user.install("plugins/shop")
    return user


def test_init_writes_what_an_installation_needs(begun):
    """Environment files, price sheets, alert rules, dashboards: the same as in the repository; and a team."""
    for kind, names in FILES.items():
        for name in names:
            assert (begun.folder / "deploy" / kind / name).read_bytes() == (DEPLOY / kind / name).read_bytes()
    assert (begun.folder / "plugins" / "shop" / "src" / "shop" / "features.py").is_file()


def test_init_again_keeps_what_people_changed(begun):
    """A file that differs is named and left alone, and so is the team."""
    changed = begun.folder / "deploy" / "alerts" / "loop.yaml"
    changed.write_text("groups: []\n")
    said = json.loads(begun.run("loopline", "init", "--output", "json").stdout)
    assert said["files"] == []
    assert said["kept"] == ["deploy/alerts/loop.yaml", "plugins/shop"]
    assert changed.read_text() == "groups: []\n"


def test_the_team_is_sound(begun):
    """``validate`` and ``plugin check`` find nothing wrong with what was written."""
    for command in (["validate"], ["plugin", "check", "shop"]):
        done = begun.run("loopline", *command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_up_answers(begun):
    """Everything starts, the team's models are served for, and ends when it is told to."""
    ports = {"LOOPLINE_INFERENCE_PORT": str(free_port())}
    program = subprocess.Popen(
        [str(begun.environment / "bin" / "loopline"), "up"],
        cwd=begun.folder,
        env=begun.variables | ports,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{ports['LOOPLINE_INFERENCE_PORT']}/v2/health/live"
        while program.poll() is None and not _answers(url):
            time.sleep(0.5)  # between two looks
        assert program.poll() is None, program.stdout.read()
    finally:
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=300)
    assert "Traceback" not in said


@pytest.mark.timeout(1500)
def test_the_demo_tells_its_story(begun):
    """The demo's team comes with the wheel, and its story holds as it does in a checkout."""
    ports = {"LOOPLINE_INFERENCE_PORT": str(free_port())}
    done = begun.run("loopline", "demo", "--output", "json", timeout=1400, **ports)
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["held"], facts["broken"]
    assert facts["requests_failed"] == 0
    assert done.returncode == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
