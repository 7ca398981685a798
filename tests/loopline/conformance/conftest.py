"""Vendors that break a promise, take long, or cannot be set apart, installed for the processes of these tests alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SHELF = Path(__file__).parents[2] / "acme" / "vendor" / "src"
COMMAND = (sys.executable, "-c", "from loopline.cli import main; main()")
BENT = '''
import time
from acme_shelf import ShelfOnlineStore
from loopline.platform_core.contracts import Vendor

class OldestWins(ShelfOnlineStore):
    """Breaks promise 3: whatever came last stays."""

    def write(self, view, entity, rows, keep=None):
        self.drop(view) if len(rows) <= 5 and keep is None else None
        return super().write(view, entity, rows, keep)

class NoReplacing(ShelfOnlineStore):
    """Claims less: it takes nothing back."""

    def replace(self, view, entity, rows, void, keep=None):
        return super(ShelfOnlineStore, self).replace(view, entity, rows, void, keep)

class Slow(ShelfOnlineStore):
    """Takes a minute for the first write."""

    def write(self, view, entity, rows, keep=None):
        (self.folder / "writing").touch()
        time.sleep(60)
        return super().write(view, entity, rows, keep)

class Fixed(ShelfOnlineStore):
    """Knows no place beside its own."""

    set_apart = Vendor.set_apart

class Failing(ShelfOnlineStore):
    """Raises what is nobody's error."""

    def drop(self, view):
        raise RuntimeError("the shelf fell")
'''
NAMES = ("OldestWins", "NoReplacing", "Slow", "Fixed", "Failing")


@dataclass(frozen=True)
class Place:
    """A home, with vendors that only its processes have."""

    home: Path
    site: Path

    def file(self, name: str, **bindings: dict[str, Any]) -> Path:
        """Write an environment file."""
        file = self.home.parent / f"{name}.yaml"
        file.write_text(json.dumps({"name": name, "bindings": bindings}))
        return file

    def shelf(self, vendor: str) -> Path:
        """Write an environment file that binds an online store of ours, in the home."""
        return self.file(vendor, online_store={"vendor": vendor, "folder": str(self.home / "shelf")})

    def start(self, file: Path, *more: str) -> subprocess.Popen[str]:
        """Start the command."""
        command = [*COMMAND, "conformance", "--output", "json", "--home", str(self.home), "--environment", str(file)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*command, *more], env=self._variables(), text=True, **streams)

    def plugins(self, *more: str) -> str:
        """Return what ``loopline plugin list`` prints."""
        command = [*COMMAND, "plugin", "list", "--home", str(self.home), *more]
        return subprocess.run(command, env=self._variables(), text=True, capture_output=True, check=True).stdout

    def _variables(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.site), str(SHELF)])}

    def held(self, file: Path, *more: str) -> tuple[int, dict[str, Any]]:
        """Run the command to its end: its exit code, and what it says."""
        process = self.start(file, *more)
        out, problem = process.communicate(timeout=600)
        assert out, problem
        return process.returncode, json.loads(out)

    def files(self) -> list[str]:
        """List all that lies in the home, but for the record of what runs found."""
        found = sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*"))
        last = [name for name in found if name.startswith("conformance/last")]
        return [name for name in found if name not in {*last, *(["conformance"] if last else [])}]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a home with something in it, and the vendors."""
    site = tmp_path / "site"
    site.joinpath("bent-1.dist-info").mkdir(parents=True)
    site.joinpath("bent.py").write_text(BENT)
    site.joinpath("bent-1.dist-info", "METADATA").write_text("Metadata-Version: 2.1\nName: bent\nVersion: 1\n")
    points = [f"online_store.{name} = bent:{name}" for name in NAMES]
    site.joinpath("bent-1.dist-info", "entry_points.txt").write_text("\n".join(["[loopline.vendors]", *points]))
    home = tmp_path / "home"
    home.joinpath("shelf").mkdir(parents=True)
    home.joinpath("shelf", "own.json").write_text("{}")
    return Place(home, site)


@pytest.fixture
def verdicts() -> Callable[[dict[str, Any]], dict[int, str]]:
    """Read what was said of each promise of the first vendor."""
    return lambda said: {promise["number"]: promise["verdict"] for promise in said["held"][0]["promises"]}
