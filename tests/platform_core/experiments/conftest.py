"""A shop whose customers meet two versions of a model, with all that became of them later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.answering.split import Split
from loopline.platform_core.specs import Drift, ErrorRate, Experiment, Guardrail, Model, Rollout, Source, Team, labels
from loopline.platform_core.testing.engines.engine_tables import put_contract
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from tests.platform_core.homes import log_row, opened, raw_rows
from tests.platform_core.monitor.conftest import LoggingServing

T0 = datetime(2011, 3, 1, tzinfo=UTC)
REF = ModelRef("shop", "returns")
ORDERS = Source("orders", contract="contracts/orders.yaml")
KEYS = ("customer_id", "order_id")


@labels(ORDERS, entities=KEYS, time="ordered_at", label="returned", known_at="settled_at")
def returned(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: was it returned; known when it is settled."""
    return rows.select(*KEYS, "ordered_at", "returned", "settled_at")


@labels(ORDERS, entities=KEYS, time="ordered_at", label="kept", known_at="settled_at")
def kept(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: pounds that stay with the shop; known when it is settled."""
    return rows.select(*KEYS, "ordered_at", "settled_at", kept=nw.col("amount") * (1 - nw.col("returned")))


SALES = Experiment(
    "sales", outcome=kept, effect=3.0, per="sum", days=2, wait_days=1, guardrails=(Guardrail("error_rate", 0.05),)
)
RULE = Rollout((20, 100), bake_minutes=60, min_requests=20, judges=(ErrorRate(0.2),))


@dataclass
class World:
    """The shop: ``days`` pass, customers order once a day, and meet the version that their split gives them."""

    platform: Platform
    team: Team
    model: Model
    serving: LoggingServing
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))
    orders: int = 0

    @property
    def now(self) -> datetime:
        """Return the clock's time."""
        return self.platform.clock.now()

    def publish(self, name: str) -> str:
        """Register a version."""
        package = write_package(self.platform.home / "built" / name, Constant(0.5))
        return self.platform.registry.publish(Publication(REF.dotted, package, None, pa.table({}))).version

    def candidate(self, name: str) -> str:
        """Register a version that passed its gates, in a cycle of its own."""
        cycle = cycles.open_cycle(self.platform.ledger, REF, Drift(), name, name, self.now, force=True)
        version = self.publish(name)
        gates.record_verdict(self.platform.ledger, REF, cycle.cycle_id, version, Verdict(()), self.now)
        return version

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.platform.clock.set(self.now + timedelta(**by))

    def record(self) -> rollouts.RolloutRecord | None:
        """Return the rollout that runs."""
        return rollouts.running(self.platform.ledger, REF)

    def tick(self) -> str:
        """Do what the rollout's sensor and job do together; return what was done."""
        from loopline.platform_core.experiments import running

        record = self.record()
        assert record is not None
        compact(self.platform, self.team, self.model)
        if running.due(self.platform, record, self.now):
            running.step(self.platform, self.team, self.model, record)
        return rollouts.step(self.platform, self.model, record.rollout_id, self.now).action

    def day(self, customers: range, gain: float = 0.0, *, failing: float = 0.0, score: float = 0.5) -> None:
        """Let each customer order once; those of the candidate keep ``gain`` pounds more, and ``failing`` fail."""
        live = deployments.deployment(self.platform.ledger, REF)
        split = Split(REF.dotted, live.percent)
        answered, landed = [], []
        for place, customer in enumerate(customers):
            self.orders += 1
            at = self.now + timedelta(seconds=place)
            takes = live.candidate is not None and split.takes(str(customer))
            version = live.candidate.version if takes and live.candidate else live.stable.version
            fails = takes and self.random.random() < failing
            truth = float(self.random.random() < (score if takes else 0.5))
            told = None if fails else score if takes else 0.5
            keys = json.dumps({"customer_id": customer, "order_id": self.orders})
            answered.append(log_row(f"r{self.orders:07}", at, version, told, keys=keys))
            amount = 20 + self.random.normal(0, 5) + (gain if takes else 0)
            landed.append((customer, self.orders, at, truth, at + timedelta(hours=12), amount / (1 - 0.5)))
        self.serving.log(answered)
        self._land(landed)
        self.later(days=1)

    def _land(self, landed: list[tuple[object, ...]]) -> None:
        names = ("customer_id", "order_id", "ordered_at", "returned", "settled_at", "amount")
        rows = raw_rows("ordered_at", **dict(zip(names, map(list, zip(*landed, strict=True)), strict=True)))
        self.platform.lake.append(raw_table("shop", "orders"), rows)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a shop in which version 1 answers."""
    serving = LoggingServing()
    file = tmp_path / ORDERS.contract
    file.parent.mkdir()
    columns = dict.fromkeys(KEYS, "integer") | dict.fromkeys(("ordered_at", "settled_at"), "timestamp")
    put_contract(file, **columns, returned="number", amount="number")
    model = Model("returns", (), returned, fit=None, rollout=RULE, experiments=(SALES,))  # type: ignore[arg-type]
    shop = World(opened(tmp_path, T0, serving=serving), Team("shop", tmp_path, (model,)), model, serving)
    stable = Served(shop.publish("one"), tmp_path / "built" / "one", "")
    deployments.change(shop.platform, REF, stable, None, 0, actor="t", reason="t", cycle="", now=T0)
    yield shop
    shop.platform.close()
