"""The wheel, installed as a user has it: a virtual environment of its own, outside the repository, without Git or make.

What the wheel depends on, its extras apart, is linked in from the environment of the tests, so that nothing is fetched;
what the tests have installed of ours is not.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from importlib.metadata import files as files_of
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.release import build_packages

ROOT = Path(__file__).parents[2]
BESIDE = ("pip", "hatchling", "pytest")
"""What installs the wheel and a team, and runs the kits."""


@dataclass(frozen=True)
class UserInstallation:
    """A virtual environment with the wheel, and an empty folder to work in."""

    environment: Path
    folder: Path

    def run(self, *command: str, timeout: float = 600, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the folder."""
        return subprocess.run(
            [str(self.environment / "bin" / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.variables | variables,
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout,
        )

    @property
    def variables(self) -> dict[str, str]:
        """Return a shell's variables: of ours none, and a PATH on which there is no Git and no make."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("LOOPLINE_", "PYTHON", "DAGSTER"))
        }
        home = self.folder.parent / "user"
        home.mkdir(exist_ok=True)
        return {**kept, "PATH": str(self.environment / "bin"), "HOME": str(home)}

    def install(self, *what: str) -> None:
        """Install without the network."""
        offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
        done = self.run("python", "-m", "pip", "install", *offline, *what)
        assert done.returncode == 0, done.stderr


def needed(*distributions: str) -> set[str]:
    """Return what comes with distributions, themselves included: all that they require without an extra of ours."""
    done: set[str] = set()
    waiting = [Requirement(name) for name in distributions]
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            if (key := f"{canonicalize_name(wanted.name)}[{extra}]") in done:
                continue
            done.add(key)
            required = map(Requirement, requires(wanted.name) or ())
            waiting += [each for each in required if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {name.partition("[")[0] for name in done}


def entries(distributions: set[str]) -> set[str]:
    """Return the folders and files that distributions have in site-packages."""
    files = [file for name in distributions for file in files_of(name) or ()]
    return {file.parts[0] for file in files if file.parts[0] not in {"..", "__pycache__"}}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release does: of the source distribution, beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    build_packages(ROOT, folder, "0")
    return next(folder.glob("loopline-*.whl"))


@pytest.fixture(scope="session")
def user(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> UserInstallation:
    """Install the wheel where nobody has anything else of ours."""
    place = tmp_path_factory.mktemp("user")
    venv.create(place / "env", with_pip=False, symlinks=True)
    site = next((place / "env" / "lib").iterdir()) / "site-packages"
    for entry in entries(needed("loopline", *BESIDE) - {"loopline"}):
        if not (site / entry).exists():
            site.joinpath(entry).symlink_to(Path(sysconfig.get_path("purelib"), entry))
    folder = place / "work"
    folder.mkdir()
    installed = UserInstallation(place / "env", folder)
    installed.install("--find-links", str(wheel.parent), "loopline")
    return installed
