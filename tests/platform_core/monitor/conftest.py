"""A platform with a real lake, engine and ledger, whose endpoint logs what the tests let it answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop.deployments import change
from loopline.platform_core.monitor.profile import build_profile
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift, Model, Source, Team, labels
from loopline.platform_core.specs.personal import Pseudonyms
from loopline.platform_core.testing.engine_tables import put_contract
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine

T0 = datetime(2011, 3, 1, tzinfo=UTC)
REF = ModelRef("shop", "returns")
FEATURES = ("amount", "country")
ORDERS = Source("orders", contract="contracts/orders.yaml")


@labels(ORDERS, entities=("order_id",), time="ordered_at", label="returned", known_at="settled_at")
def returned(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: was it returned; known when it is settled."""
    return rows.select("order_id", "ordered_at", "returned", "settled_at")


class LoggingServing(InMemoryServing):
    """An endpoint whose log the tests write."""

    def log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add answered rows to the log."""
        self._log.setdefault(REF.dotted, []).extend(rows)


@dataclass
class Shop:
    """A team with one model, and the world around it."""

    platform: Platform
    team: Team
    model: Model
    serving: LoggingServing
    ref: ModelRef = REF
    start: datetime = T0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    answered: int = 0

    def learn(self, rows: int = 20_000) -> pa.Table:
        """Draw rows as the training set has them."""
        amounts = self.random.lognormal(3, 1, rows)
        return pa.table({"amount": amounts, "country": self.random.choice(["DE", "FR", "UK"], rows)})

    def deploy(self, version: str = "1") -> Path:
        """Make a package with its profile and let it answer as the stable version."""
        package = self.platform.home / "packages" / REF.dotted / version
        package.mkdir(parents=True)
        build_profile(self.learn(), FEATURES, self.random.random(20_000)).save(package)
        example = pa.table({"amount": [1.0]})
        self.platform.registry.publish(Publication(REF.dotted, package, None, example))  # type: ignore[arg-type]
        stable = Served(version, package, "cycle-1")
        now = self.platform.clock.now()
        change(self.platform, REF, stable, None, 0, actor="test", reason="test", cycle="cycle-1", now=now)
        return package

    def answer(self, rows: int, *, version: str = "1", factor: float = 1.0) -> None:
        """Answer requests, one a second, with amounts multiplied by ``factor``."""
        table = self.learn(rows).to_pylist()
        for row in table:
            row["amount"] *= factor
        self.serving.log([self._row(row, self.random.random(), version) for row in table])

    def answer_scores(
        self, scores: Sequence[float | None], *, version: str = "1", hide: Pseudonyms | None = None
    ) -> None:
        """Answer requests with given scores; None is a failed one. The keys are hidden if something hides them."""
        rows = [self._row({}, score, version) for score in scores]
        for row in rows if hide else ():
            row["keys"] = json.dumps({"order_id": hide.of("order_id", json.loads(row["keys"])["order_id"])})
        self.serving.log(rows)

    def _row(self, features: dict[str, Any], score: float | None, version: str) -> dict[str, Any]:
        self.answered += 1
        at = T0 + timedelta(seconds=self.answered)
        return {
            "request_id": f"r{self.answered:06}",
            "row": 0,
            "event_time": at,
            "logged_at": at,
            "version": version,
            "cycle": "cycle-1",
            "role": "stable",
            "status": 200 if score is not None else 500,
            "latency_ms": 1.0,
            "score": score,
            "keys": json.dumps({"order_id": self.answered}),
            "features": json.dumps(features),
            "missing": [],
        }

    def settle(self, truth: Sequence[float], settled_at: datetime) -> None:
        """Let the orders of the first answers arrive as raw rows, with labels that are known at ``settled_at``."""
        numbers = range(1, len(truth) + 1)
        ordered = [T0 + timedelta(seconds=number) for number in numbers]
        instant = pa.timestamp("us", tz="UTC")
        rows = pa.table(
            {
                "order_id": pa.array(numbers, pa.int64()),
                "ordered_at": pa.array(ordered, instant),
                "returned": pa.array(truth, pa.float64()),
                "settled_at": pa.array([settled_at] * len(truth), instant),
                "_arrived_at": pa.array(ordered, instant),
                "_date": pa.array([at.date() for at in ordered], pa.date32()),
            }
        )
        self.platform.lake.append(raw_table(REF.team, ORDERS.name), rows)


def _mark_personal(folder: Path, *columns: str) -> None:
    """Write the contract of the orders, in which some columns are personal."""
    file = folder / ORDERS.contract
    file.parent.mkdir(exist_ok=True)
    put_contract(file, order_id="integer", ordered_at="timestamp", returned="number", settled_at="timestamp")
    text = file.read_text()
    for name in columns:
        text = text.replace(f"{{name: {name},", f"{{name: {name}, classification: personal,")
    file.write_text(text)


@pytest.fixture
def mark_personal() -> Callable[..., None]:
    """Give what marks columns of the orders' contract as personal."""
    return _mark_personal


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop in which nothing has happened."""
    serving = LoggingServing()
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "serving": serving,
        "registry": InMemoryRegistry(),
        "drift_report": InMemoryDriftReport(),
    }
    clock = tmp_path / "clock"
    ReplayClock(clock).set(T0 + timedelta(days=1))
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("test", tmp_path / "test.yaml", bindings, ledger, clock, tmp_path))
    _mark_personal(tmp_path)
    model = Model("returns", (), returned, fit=None, drift=Drift(min_rows=500))  # type: ignore[arg-type]
    yield Shop(platform, Team("shop", tmp_path, (model,)), model, serving)
    platform.close()
