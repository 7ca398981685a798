"""A small installation with a history: two landings, a model that is live, and a version that was rejected."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core import environment, plugins, turn
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.migration.move import Move
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from loopline.platform_core.testing.registry import contents
from tests.platform_core.ledgers import new_ledger

SITE = Path(__file__).parents[1] / "training" / "parcels_site"
POINTS = "[loopline.teams]\nparcels = parcels:team\n"
REF = ModelRef("parcels", "late")
START = datetime(2010, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=120)
LAPTOP = """
name: laptop
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_HOME}/lake"}
  online_store: {vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing"}
  engine: {vendor: polars}
  registry: {vendor: mlflow, tracking_uri: "sqlite:///${LOOPLINE_HOME}/mlflow.db", artifacts: "${LOOPLINE_HOME}/mlflow"}
  compute: {vendor: in_process}
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: 0}
  drift_report: {vendor: evidently}
ledger: "sqlite:///${LOOPLINE_HOME}/ledger.db"
clock: {replay: "%s"}
"""


@dataclass(frozen=True)
class Home:
    """A home with an environment file."""

    folder: Path
    file: Path

    def open(self) -> Platform:
        """Open the platform as a process of this home would."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LOOPLINE_HOME", str(self.folder))
            return Platform(environment.read(self.file))


def new_home(folder: Path, file: Path, empty_registry: Path) -> Home:
    """Make a home in which nothing has happened."""
    folder.mkdir()
    shutil.copy(empty_registry, folder / "mlflow.db")
    new_ledger(folder)
    return Home(folder, file)


def parcels_team() -> Team:
    """Load the team."""
    return plugins.installed(only=["parcels"]).team("parcels")


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of the data's clock, which both sides read."""
    file = tmp_path_factory.mktemp("clock") / "clock"
    ReplayClock(file).set(NOW)
    return file


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, clock: Path, empty_registry: Path) -> Home:
    """Let the team's history happen, once for all tests."""
    return install(tmp_path_factory.mktemp("source"), clock, empty_registry, _happen)


def install(base: Path, clock: Path, empty_registry: Path, happen: Callable[[Platform], None]) -> Home:
    """Install the team, and let something happen."""
    info = base / "site" / "parcels-1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: parcels\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(POINTS)
    base.joinpath("calls").mkdir()
    home = new_home(base / "home", base / "laptop.yaml", empty_registry)
    home.file.write_text(LAPTOP % clock)
    with pytest.MonkeyPatch.context() as patch:
        _install(patch, home)
        happen(home.open())
    return home


@pytest.fixture
def source(installed: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give the installation; its team is installed while the test runs."""
    _install(monkeypatch, installed)
    return installed


@pytest.fixture
def own_source(source: Home, tmp_path: Path) -> Home:
    """Give a copy of the installation to a test that lets something happen there."""
    return Home(Path(shutil.copytree(source.folder, tmp_path / "source")), source.file)


def _install(patch: pytest.MonkeyPatch, home: Home) -> None:
    base = home.folder.parent
    path = [str(base / "site"), str(SITE)]
    patch.setenv("LOOPLINE_HOME", str(home.folder))
    patch.setenv("PARCELS_CALLS", str(base / "calls"))
    patch.setenv("PYTHONPATH", os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])]))
    patch.setattr(sys, "path", [*path, *sys.path])


def _happen(platform: Platform) -> None:
    for half in range(2):
        land(platform, slice(half * 750, (half + 1) * 750))
        around = turned(platform, f"turn {half}")
        if half == 0:
            turn.deploy(around)
        else:
            cycles.close_cycle(platform.ledger, around.cycle.cycle_id, "rejected", "not this time", NOW)
    platform.close()


def land(platform: Platform, part: slice) -> None:
    """Land some of the rows, and bring them to the views."""
    team = parcels_team()
    platform.lake.append(raw_table("parcels", "parcels"), raw_rows().slice(part.start, part.stop - part.start))
    for view in team.views:
        materialize(platform, team, view)


def turned(platform: Platform, name: str) -> turn.Turn:
    """Open a cycle, fit and judge a version."""
    team = parcels_team()
    model = team.model(REF.model)
    cycle = cycles.open_cycle(platform.ledger, REF, model.drift, name, name, NOW, force=True)
    around = turn.Turn(platform, team, model, cycle)
    turn.pin(around)
    turn.fit(around)
    turn.gate(around)
    return around


def raw_rows() -> pa.Table:
    """Make 1,500 parcels: heavy ones to the north are late."""
    random, rows = np.random.default_rng(0), 1_500
    weight, region = random.gamma(2, 2, rows), random.choice(["north", "south", "west"], rows)
    sent = [START + timedelta(minutes=90 * n) for n in range(rows)]
    instants = pa.array(sent, pa.timestamp("us", "UTC"))
    late = random.random(rows) < 1 / (1 + np.exp(-(weight - 5 + 2 * (region == "north"))))
    return pa.table(
        {
            "parcel_id": np.arange(rows),
            "sender_id": random.integers(0, 50, rows),
            "sent_at": instants,
            "weight": weight,
            "region": region.tolist(),
            "late": late.astype(float),
            "_arrival": ["a"] * rows,
            "_line": np.arange(rows),
            "_arrived_at": instants,
            "_date": instants.cast(pa.date32()),
        }
    )


@pytest.fixture
def target(source: Home, tmp_path: Path, clock: Path, empty_registry: Path) -> Home:
    """Give an empty home like a laptop's."""
    file = tmp_path / "target.yaml"
    file.write_text(LAPTOP % clock)
    return new_home(tmp_path / "target", file, empty_registry)


def move(source: Home, target: Home, report: Any = lambda _: None) -> Any:
    """Move, and close both."""
    platforms = source.open(), target.open()
    try:
        return Move(*platforms, (parcels_team(),), report).run()
    finally:
        for platform in platforms:
            platform.close()


def everything(home: Home, folder: Path) -> dict[str, Any]:
    """Read all that moves: files of tables by path, versions with their files, rows of the ledger, online rows."""
    from loopline.platform_core.audit.tables import metadata as record
    from loopline.platform_core.loop.ledger.tables import metadata

    platform = home.open()
    files = platform.lake.files()
    found = [file.path for table in platform.lake.tables() for file in (*files.of(table).data, *files.of(table).log)]
    registry = platform.registry
    versions = [version for model in registry.models() for version in registry.versions(model)]
    with platform.ledger.reading() as connection:
        rows = {
            t.name: [dict(r) for r in connection.execute(t.select()).mappings()]
            for t in (*metadata.sorted_tables, *record.sorted_tables)
        }
    keys = [str(n) for n in range(50)]
    packages = folder / home.folder.name
    told = {
        "lake": {path: b"".join(files.read(path)) for path in found},
        "versions": versions,
        "packages": [contents(registry.fetch(v.model, v.version, packages / v.version)) for v in versions],
        "ledger": {name: sorted(each, key=repr) for name, each in rows.items()},
        "online": platform.online_store.read([("parcels.sender_history.v1", keys)]),
    }
    platform.close()
    return told
