"""A team installed as a distribution, its file landed, and everything running under the real daemon."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopline.platform_core import plugins
from loopline.up.app import App
from loopline.up.running import running

SITE = Path(__file__).parent / "mill_site"
ENVIRONMENT = """
name: system
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_HOME}/lake"}
  online_store: {vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing"}
  engine: {vendor: polars}
  registry: {vendor: mlflow, tracking_uri: "sqlite:///${LOOPLINE_HOME}/mlflow.db", artifacts: "${LOOPLINE_HOME}/mlflow"}
  compute: {vendor: subprocess, root: "${LOOPLINE_HOME}/compute"}
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: "${LOOPLINE_INFERENCE_PORT:-8080}"}
  drift_report: {vendor: evidently}
"""
START = datetime(2024, 5, 1, tzinfo=UTC)
WHEELS, LOADS, MINUTES = 8, 480, 10
A_DAY = 24 * 60 // MINUTES


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[App]:
    """Run everything on this machine for the team, with its file in the landing folder.

    Dagster's web server is there where the module says ``WEB``.
    """
    home, site = tmp_path_factory.mktemp("system"), tmp_path_factory.mktemp("site")
    info = site / "mill-1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: mill\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text("[loopline.teams]\nmill = mill:team\n")
    home.joinpath("environment.yaml").write_text(ENVIRONMENT)
    _deliver(home / "landing" / "mill" / "loads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(plugins.ONLY, "mill")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(SITE)]))
        patch.setattr(sys, "path", [str(site), str(SITE), *sys.path])
        with running(home, home / "environment.yaml", web=getattr(request.module, "WEB", False)) as started:
            yield started


def _deliver(folder: Path) -> None:
    """Write a file of loads for each day, as it came in that day's first hour: heavy ones jam more often."""
    chance = random.Random(5)
    folder.mkdir(parents=True)
    for first in range(0, LOADS, A_DAY):
        lines = ["Wheel,Ground,Weight,Jammed"]
        for number in range(first, min(first + A_DAY, LOADS)):
            weight = chance.gauss(100, 20)
            stuck = int(chance.random() < (0.85 if weight > 100 else 0.1))
            lines.append(f"{number % WHEELS},{_moment(number):%Y-%m-%d %H:%M},{weight:.2f},{stuck}")
        draft = folder / f".loads-{first}.csv"
        draft.write_text("\n".join(lines) + "\n")
        os.utime(draft, (_moment(first).timestamp(),) * 2)
        draft.rename(folder / f"loads-{first}.csv")


def _moment(number: int) -> datetime:
    return START + timedelta(minutes=MINUTES * number)
