"""A team and vendors installed as a distribution, an environment that binds them, and the command line."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from loopline.platform_core import plugins
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.identity import accounts
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.monitor.drift.profile import build_profile
from loopline.platform_core.platform import Platform
from loopline.platform_core.turn import start_rollout

CORNER = Path(__file__).parent / "corner"
T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
REF = ModelRef("corner", "returns")
ENTRY_POINTS = """
[loopline.vendors]
registry.kept = corner_vendors:KeptRegistry
serving.kept = corner_vendors:KeptServing

[loopline.teams]
corner = corner_shop:team
"""
ENVIRONMENT = """
name: test
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_HOME}/lake"}
  online_store: {vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing"}
  engine: {vendor: polars}
  registry: {vendor: kept}
  compute: {vendor: in_process}
  serving: {vendor: kept}
  drift_report: {vendor: evidently}
clock: {replay: "${LOOPLINE_HOME}/clock"}
"""
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Give a function that installs a distribution of entry points and modules, for this process and its children.

    Of the repository's own teams they know one: a code server of each would be started by every daemon.
    """
    known = ["retail"]
    monkeypatch.setenv(plugins.ONLY, *known)

    def put(name: str, points: str, **modules: str) -> None:
        declared = configparser.ConfigParser()
        declared.read_string(points)
        if plugins.TEAMS in declared:
            known.extend(declared[plugins.TEAMS])
        monkeypatch.setenv(plugins.ONLY, ",".join(known))
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        info.joinpath("entry_points.txt").write_text(points)
        for module, text in modules.items():
            site.joinpath(f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)

    return put


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install) -> World:
    """Install team and vendors, and bind them in a fresh home."""
    monkeypatch.syspath_prepend(str(CORNER))
    monkeypatch.setenv("PYTHONPATH", str(CORNER), prepend=os.pathsep)
    install("corner", ENTRY_POINTS)
    state = importlib.import_module("corner_vendors").STATE
    state.clear()
    state["folder"] = tmp_path / "registry"
    file = tmp_path / "test.yaml"
    file.write_text(ENVIRONMENT)
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
    monkeypatch.setenv("LOOPLINE_USER", "alice")
    return World(tmp_path / "home", file)


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash passwords in a hundredth of the time; what a hash costs has a test of its own."""
    monkeypatch.setattr(accounts, "hasher", lambda: QUICK)
    accounts._of_nobody.cache_clear()
    yield
    accounts._of_nobody.cache_clear()


@dataclass
class World:
    """A home in which the tests let things happen, and the command line that tells of them."""

    home: Path
    environment: Path
    now: datetime = T0

    def run(self, *arguments: str) -> Result:
        """Run the command line in this process."""
        from loopline.cli import loopline

        return CliRunner().invoke(loopline, list(arguments))

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run the command line and return the one object on its stdout."""
        result = self.run(*arguments, "--output", "json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def later(self, hours: float) -> None:
        """Move the clock."""
        from loopline.platform_core.foundation.clock import ReplayClock

        self.now += timedelta(hours=hours)
        ReplayClock(self.home / "clock").set(self.now)

    def break_team(self) -> None:
        """Let the team's package fail when it is loaded."""
        site = self.home.parent / "site-corner"
        site.joinpath("broken_corner.py").write_text("price = 1\nraise OSError('no disk')\n")
        site.joinpath("corner-1.0.dist-info/entry_points.txt").write_text(
            ENTRY_POINTS.replace("corner_shop:team", "broken_corner:team")
        )

    def open_cycle(self, name: str, passed: bool = True) -> tuple[str, str]:
        """Open a cycle, register a version with a drift profile and judge it; gives version and cycle."""
        from corner_shop import returns

        self.later(0)
        platform = Platform.open()
        cycle = cycles.open_cycle(platform.ledger, REF, returns.drift, f"drift {name}", name, self.now, force=True)
        package = self.home / "built" / name
        package.mkdir(parents=True)
        package.joinpath("manifest.json").write_text("{}")
        random = np.random.default_rng(0)
        rows = pa.table({"amount": random.lognormal(3, 1, 4000), "country": random.choice(["DE", "FR"], 4000)})
        build_profile(rows, ("amount", "country"), random.random(4000)).save(package)
        version = platform.registry.publish(Publication(REF.dotted, package, None, pa.table({}))).version
        value = 0.7 if passed else 0.6
        verdict = Verdict((GateReading("AtLeast(roc_auc)", 1, value, 0.65, passed=passed, detail=""),))
        gates.record_verdict(platform.ledger, REF, cycle.cycle_id, version, verdict, self.now)
        platform.close()
        return version, cycle.cycle_id

    def roll_out(self, *names: str) -> str:
        """Start the rollouts of new versions, thirty hours apart; the first one goes live at once."""
        from corner_shop import returns

        for number, name in enumerate(names):
            self.later(30 * bool(number))
            version, cycle = self.open_cycle(name)
            with closing(Platform.open()) as platform:
                start_rollout(platform, REF, returns, version, cycle, self.now)
        return version

    def record(self, *entries: Entry) -> None:
        """Write entries into the ledger."""
        with closing(Platform.open()) as platform:
            for entry in entries:
                platform.ledger.record(entry)

    def entries(self, *kinds: str) -> list[Entry]:
        """Read the model's entries of some kinds from the ledger."""
        with closing(Platform.open()) as platform:
            return platform.ledger.entries(REF, list(kinds))

    def deliver(self, name: str, content: str, at: float | None = None) -> None:
        """Let a file of sales come at a time, an hour ago if none is said, and land what there is."""
        from corner_shop import sales, team

        file = self.home / "landing/corner/sales" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        os.utime(file, (at or time.time() - 3600,) * 2)
        with closing(Platform.open()) as platform:
            land(platform, team, sales)

    def materialize(self) -> None:
        """Compute the view of what has landed."""
        from corner_shop import customer_sales, team

        with closing(Platform.open()) as platform:
            materialize(platform, team, customer_sales)

    def status(self) -> Any:
        """Return what the command line says of the model."""
        return self.json("model", "status", "returns")["models"][0]

    def bind(self, before: str, after: str) -> None:
        """Change the environment file."""
        text = self.environment.read_text()
        assert before in text
        self.environment.write_text(text.replace(before, after))

    def say(self, text: str) -> None:
        """Let the environment file say more."""
        with self.environment.open("a") as file:
            file.write(text)


@pytest.fixture(autouse=True)
def forget_modules() -> None:
    """Let each test import what it installed, not what another did."""
    yield
    for name in [name for name in sys.modules if name.startswith(("broken_", "corner_", "paper_"))]:
        sys.modules.pop(name)
