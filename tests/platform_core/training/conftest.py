"""A small team, installed as a distribution, and a lake that holds its rows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core import plugins
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import raw_table
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.testing.engines.engine_tables import at, put_contract, raw_orders
from loopline.platform_core.training import training_set
from loopline.platform_core.training.order import Order
from loopline.platform_core.training.task import run
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.platform_core.homes import opened, raw_rows

SITE = Path(__file__).parent / "parcels_site"
POINTS = """
[loopline.teams]
parcels = parcels:team

[loopline.vendors]
registry.memory = loopline.platform_core.testing.fakes.registry:InMemoryRegistry
"""
ENVIRONMENT = """
name: {registry}
bindings:
  lake: {{vendor: delta, root: "${{LOOPLINE_HOME}}/lake"}}
  online_store: {{vendor: sqlite, path: "${{LOOPLINE_HOME}}/online.db"}}
  event_source: {{vendor: folder, root: "${{LOOPLINE_HOME}}/landing"}}
  engine: {{vendor: polars}}
  registry: {settings}
  compute: {{vendor: subprocess, root: "${{LOOPLINE_HOME}}/compute"}}
  serving: {{vendor: local, root: "${{LOOPLINE_HOME}}/serving", port: 0}}
  drift_report: {{vendor: evidently}}
"""
MLFLOW = '{vendor: mlflow, tracking_uri: "sqlite:///${LOOPLINE_HOME}/mlflow.db", artifacts: "${LOOPLINE_HOME}/mlflow"}'
ROWS = 1_500
START = datetime(2010, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Post:
    """The team's home: environment files, the pinned training set, and where each fit leaves a mark."""

    home: Path
    pinned: dict[str, Any]

    def open(self, registry: str) -> Platform:
        """Open the platform with ``mlflow``, or ``memory`` for a registry that lives in each process."""
        return Platform.open(self.file(registry))

    def file(self, registry: str) -> Path:
        """Return the environment file."""
        return self.home / f"{registry}.yaml"

    def fits(self) -> int:
        """Count the calls of ``fit`` so far, in all processes."""
        return len(list(self.home.joinpath("calls").iterdir()))

    def args(self, registry: str, key: str, **more: Any) -> dict[str, Any]:
        """Return the training task's arguments."""
        named = {"environment": str(self.file(registry)), "team": "parcels", "model": "late"}
        return {**named, "training_set": self.pinned, "cycle": key, "key": key, **more}


@dataclass(frozen=True)
class Shop:
    """A platform with orders, on which models are trained in this process."""

    platform: Platform
    team: Team

    @classmethod
    def of(cls, home: Path, models: tuple[Model, ...], rows: list[tuple[int, float, float, float, str]]) -> Shop:
        """Land orders, and materialize what the models read; the clock stands ten hours after as many hours."""
        put_contract(home / "orders.yaml")
        store = SqliteOnlineStore(path=str(home / "online.db"))
        shop = cls(opened(home, at(len(rows) + 10), online_store=store), Team("shop", home, models))
        shop.platform.lake.append(raw_table("shop", "orders"), raw_orders(*rows))
        for view in shop.team.views:
            materialize(shop.platform, shop.team, view)
        return shop

    def pinned(self, model: Model) -> training_set.TrainingSet:
        """Pin what is known, and read it back."""
        pinned = training_set.build(self.platform, self.team, model, self.platform.clock.now())
        again = training_set.from_json(training_set.to_json(pinned))
        assert again == pinned
        return again

    def trained(self, model: Model, key: str) -> dict[str, Any]:
        """Train on what is known."""
        return run(Order(self.platform, self.team, model, self.pinned(model), key, key, {}))


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Iterator[Post]:
    """Install the team, fill its lake and pin a training set."""
    home = tmp_path_factory.mktemp("post")
    site = home / "site"
    (home / "calls").mkdir()
    shutil.copy(empty_registry, home / "mlflow.db")
    info = site / "parcels-1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: parcels\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(POINTS)
    for registry, settings in (("mlflow", MLFLOW), ("memory", "{vendor: memory}")):
        home.joinpath(f"{registry}.yaml").write_text(ENVIRONMENT.format(registry=registry, settings=settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOPLINE_HOME", str(home))
        patch.setenv("PARCELS_CALLS", str(home / "calls"))
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(site), str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])])
        )
        patch.setattr(sys, "path", [str(site), str(SITE), *sys.path])
        yield Post(home, _pinned(home))


def _pinned(home: Path) -> dict[str, Any]:
    platform, team = Platform.open(home / "memory.yaml"), plugins.installed(only=["parcels"]).team("parcels")
    platform.lake.append(raw_table("parcels", "parcels"), _raw())
    for view in team.views:
        materialize(platform, team, view)
    return training_set.to_json(training_set.build(platform, team, team.model("late"), START + timedelta(days=120)))


def _raw() -> pa.Table:
    random = np.random.default_rng(0)
    weight, region = random.gamma(2, 2, ROWS), random.choice(["north", "south", "west"], ROWS)
    sent = [START + timedelta(minutes=90 * n) for n in range(ROWS)]
    chance = 1 / (1 + np.exp(-(weight - 5 + 2 * (region == "north"))))
    told = {"parcel_id": np.arange(ROWS), "sender_id": random.integers(0, 50, ROWS), "sent_at": sent}
    told |= {"weight": weight, "region": region.tolist(), "late": (random.random(ROWS) < chance).astype(float)}
    return raw_rows("sent_at", **told, _arrival=["a"] * ROWS, _line=np.arange(ROWS))
