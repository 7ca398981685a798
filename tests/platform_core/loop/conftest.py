"""A ledger on each database, and a platform whose vendors are in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift, Model, Rollout
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.turn import start_rollout
from loopline.stories.many_models import LATE
from tests.platform_core.ledgers import new_ledger

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
REF = ModelRef("retail", "cancellations")
RULE = Drift(cooldown_hours=24, daily_budget=3)
Scores = Mapping[str, float | None]
PASSED = Verdict((GateReading("AtLeast(roc_auc)", 1, 0.72, 0.65, passed=True, detail=""),))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Open a ledger."""
    opened = Ledger.open(url)
    yield opened
    opened.close()


@pytest.fixture
def ref() -> ModelRef:
    """Name the model."""
    return REF


@dataclass
class Loop:
    """A platform in memory with one model, driven by hand; ``now`` is its clock."""

    platform: Platform
    home: Path
    rule: Rollout = field(default_factory=lambda: Rollout(percents=(20, 50, 100), bake_minutes=10, min_requests=20))
    now: datetime = T0
    asked: int = 0

    @property
    def ledger(self) -> Ledger:
        """Return the ledger."""
        return self.platform.ledger

    @property
    def serving(self) -> InMemoryServing:
        """Return the endpoint in memory."""
        return self.platform.serving

    @property
    def model(self) -> Model:
        """Return the model with the rule in force."""
        return Model("cancellations", (), LATE, None, rollout=self.rule, drift=RULE)

    def later(self, minutes: float) -> datetime:
        """Move the clock."""
        self.now += timedelta(minutes=minutes)
        return self.now

    def publish(self, name: str) -> str:
        """Register a version whose package holds its name."""
        package = self.home / "built" / name
        package.mkdir(parents=True)
        package.joinpath("manifest.json").write_text(json.dumps(name))
        publication = Publication(REF.dotted, package, None, pa.table({}))
        return self.platform.registry.publish(publication).version

    def candidate(self, name: str, verdict: Verdict = PASSED) -> tuple[str, str]:
        """Open a cycle, register a version and write its verdict down; gives version and cycle."""
        opened = cycles.open_cycle(self.ledger, REF, RULE, f"drift of {name}", name, self.now, force=True)
        version = self.publish(name)
        gates.record_verdict(self.ledger, REF, opened.cycle_id, version, verdict, self.now)
        return version, opened.cycle_id

    def roll_out(self, name: str) -> rollouts.RolloutRecord:
        """Start the rollout of a new version."""
        version, cycle = self.candidate(name)
        return start_rollout(self.platform, REF, self.model, version, cycle, self.now)

    def ask(self, count: int, scores: Scores | None = None, latency_ms: float = 1.0) -> None:
        """Send requests of as many entities; versions without a score given answer 0.5."""
        versions = {v.version: 0.5 for v in self.platform.registry.versions(REF.dotted)}
        for _ in range(count):
            self.asked += 1
            self.serving.answer(REF.dotted, f"customer {self.asked}", versions | dict(scores or {}), latency_ms)

    def step(self, record: rollouts.RolloutRecord) -> rollouts.Decision:
        """Take a step."""
        return rollouts.step(self.platform, self.model, record.rollout_id, self.now)

    def second(self, hours: float = 1) -> rollouts.RolloutRecord:
        """Make a first version live, and start the rollout of a second one some hours later."""
        self.roll_out("first")
        self.later(60 * hours)
        return self.roll_out("second")

    def baked(self, record: rollouts.RolloutRecord, count: int, scores: Scores | None = None) -> rollouts.Decision:
        """Let requests come for a bake time, and take a step."""
        self.ask(count, scores)
        self.later(self.rule.bake_minutes)
        return self.step(record)

    @property
    def live(self) -> deployments.Deployment:
        """Return what is deployed."""
        return deployments.deployment(self.ledger, REF)

    @property
    def stable(self) -> Served:
        """Return what answers."""
        return self.live.stable


def platform_on(url: str, home: Path) -> Platform:
    """Bind vendors in memory to a ledger."""
    bindings = {"serving": InMemoryServing(), "registry": InMemoryRegistry()}
    return Platform(Environment("test", home / "test.yaml", bindings, url, None, home))


@pytest.fixture
def loop(url: str, tmp_path: Path) -> Iterator[Loop]:
    """Give a platform to drive, on each database."""
    platform = platform_on(url, tmp_path)
    yield Loop(platform, tmp_path)
    platform.close()


@pytest.fixture
def sqlite_loop(tmp_path: Path) -> Iterator[Loop]:
    """Give a platform to drive, on SQLite."""
    platform = platform_on(new_ledger(tmp_path), tmp_path)
    yield Loop(platform, tmp_path)
    platform.close()
