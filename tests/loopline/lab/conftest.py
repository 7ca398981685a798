"""A shop made from the team's template, with forty weeks of made-up orders, a pinned training set and a champion."""

from __future__ import annotations

import importlib
import pickle
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from jinja2 import Template
from threadpoolctl import threadpool_limits

from loopline import templates
from loopline.lab import Lab, TrainingRows
from loopline.lab.fitting import fitted
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.environment import Environment
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.specs import Team
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.training import training_set
from loopline.platform_core.training.order import Order
from loopline.platform_core.training.packaging import publish
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
REF = ModelRef("shop", "outcome")
ANSWERS = {"team": "shop", "source": "orders", "entity": "customer", "model": "outcome"}
SHIPPED = Path(templates.__file__).parent / "shipped"


@dataclass(frozen=True)
class Home:
    """An open lab, and the folder of the team's package."""

    lab: Lab
    folder: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Make the team, land its orders, train a version and let it be the champion."""
    folder = tmp_path_factory.mktemp("lab")
    _render(folder / "plugins" / "shop")
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):  # threads that wait for each other cost more
        patch.setattr(sys, "path", [str(folder / "plugins" / "shop" / "src"), *sys.path])
        team = importlib.import_module("shop").team
        platform = _platform(folder)
        platform.lake.append(raw_table("shop", "orders"), _orders())
        for view in team.views:
            materialize(platform, team, view)
        _train(platform, team)
        yield Home(Lab(platform, Installed((team,), ())), folder / "plugins" / "shop")
        platform.close()
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def _render(folder: Path) -> None:
    """Write what 'loopline new team shop' does, without Copier: that takes seconds, and has tests of its own."""
    for kind in ("team", "model"):
        root = SHIPPED / kind / "v1" / "template"
        for template in root.glob("src/**/*.jinja"):
            file = folder / Template(str(template.relative_to(root)).removesuffix(".jinja")).render(ANSWERS)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(template.read_text()).render(ANSWERS) + "\n")


def _platform(folder: Path) -> Platform:
    ReplayClock(folder / "clock").set(NOW)
    bindings = {
        "lake": DeltaLake(root=str(folder / "lake")),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=str(folder / "online.db")),
        "registry": InMemoryRegistry(),
        "serving": InMemoryServing(),
    }
    file = folder / "test.yaml"
    return Platform(Environment("laptop", file, bindings, f"sqlite:///{folder}/ledger.db", folder / "clock", folder))


def _orders(weeks: int = 40, each: int = 25) -> pa.Table:
    """Draw orders as the template's ``history.py`` does."""
    draw = random.Random(7)
    habits = {key: draw.betavariate(0.6, 1.4) for key in range(1, 151)}
    rows = []
    for week in range(weeks, 0, -1):
        for number in range(each):
            key, amount = draw.choice(list(habits)), round(draw.lognormvariate(3, 0.8), 2)
            outcome = int(draw.random() < 0.7 * habits[key] + 0.3 * min(amount / 80, 1))
            settled = NOW - timedelta(weeks=week - 1, minutes=draw.randrange(7 * 24 * 60))
            rows.append(
                (f"{week}-{number}", key, amount, settled - timedelta(days=draw.randint(1, 20)), settled, outcome)
            )
    ids, keys, amounts, happened, settled, outcomes = map(list, zip(*rows, strict=True))
    instant = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "id": ids,
            "customer": pa.array(keys, pa.int64()),
            "amount": amounts,
            "happened_at": pa.array(happened, instant),
            "settled_at": pa.array(settled, instant),
            "outcome": pa.array(outcomes, pa.int64()),
            "_arrival": ["a"] * len(rows),
            "_line": pa.array(range(len(rows)), pa.int64()),
            "_arrived_at": pa.array(settled, instant),
            "_date": pa.array([at.date() for at in happened], pa.date32()),
        }
    )


def _train(platform: Platform, team: Team) -> None:
    """Fit once, and publish it pickled: search, other forms and drift profiles have tests of their own."""
    model = team.model("outcome")
    pinned = training_set.build(platform, team, model, NOW)
    rows = TrainingRows.of(platform, team, model, pinned)
    made = fitted(rows, model.fit, {"strength": 1.0})
    order = Order(platform, team, model, pinned, "cycle-1", "cycle-1", {})
    folder = platform.home / "built"
    folder.mkdir()
    folder.joinpath("model.pickle").write_bytes(pickle.dumps(made.estimator))
    draft = publish._draft(order, rows.learnable)
    folder.joinpath(manifest.FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(draft, file="model.pickle")))
    example = pa.table({"amount": [1.0]})
    told = Publication(REF.dotted, folder, made.estimator, example, metrics=made.metrics)
    version = platform.registry.publish(told).version
    platform.ledger.record(Entry(PINNED, NOW, *REF, "cycle-1", details=training_set.to_json(pinned)))
    platform.ledger.record(Entry(REGISTERED, NOW, *REF, "cycle-1", version))
    platform.registry.set_alias(REF.dotted, "champion", version)
