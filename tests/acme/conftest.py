"""A team and a vendor from outside: built as wheels, installed into a folder of their own, used by new interpreters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PATIENCE_SECONDS = 900
"""For what hangs: a turn of the loop takes ten seconds on a machine alone, and minutes on one that is overcommitted."""
collect_ignore = ["team", "vendor"]  # distributions of their own, with their own tests
ENVIRONMENT = """
name: acme
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_HOME}/lake"}
  online_store: {vendor: acme_shelf, folder: "${LOOPLINE_HOME}/shelf"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing"}
  engine: {vendor: polars}
  registry: {vendor: mlflow, tracking_uri: "sqlite:///${LOOPLINE_HOME}/mlflow.db", artifacts: "${LOOPLINE_HOME}/mlflow"}
  compute: {vendor: in_process}
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: "${LOOPLINE_INFERENCE_PORT:-8080}"}
  drift_report: {vendor: evidently}
clock: {replay: "${LOOPLINE_HOME}/clock"}
"""


@dataclass(frozen=True)
class Outside:
    """A home with an environment file, and the folder into which distributions were installed."""

    site: Path
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables of a process that has the distributions."""
        own = {"PYTHONPATH": str(self.site), "LOOPLINE_HOME": str(self.home)}
        return {**os.environ, **own, "LOOPLINE_ENVIRONMENT": str(self.home / "acme.yaml")}

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a fresh interpreter."""
        return subprocess.run(
            [sys.executable, *arguments],
            env={**self.variables, **variables},
            cwd=cwd or self.home,
            text=True,
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def json(self, *arguments: str, **variables: str) -> Any:
        """Run a fresh interpreter and return the JSON object on its stdout."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def loopline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self.run("-c", "from loopline.cli import main; main()", *arguments)


def install(site: Path, *sources: Path) -> None:
    """Build source trees as wheels and install them into ``site``, without the network and without dependencies."""
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), *map(str, sources)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def outside(folder: Path, *sources: Path) -> Outside:
    """Install source trees beside a fresh home."""
    install(folder / "site", *sources)
    return Outside(folder / "site", at_home(folder))


def at_home(folder: Path) -> Path:
    """Make a fresh home."""
    home = folder / "home"
    home.mkdir()
    home.joinpath("acme.yaml").write_text(ENVIRONMENT)
    return home


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """Install the team and the vendor."""
    return outside(tmp_path_factory.mktemp("acme"), HERE / "team", HERE / "vendor")
