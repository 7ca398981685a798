"""A tiny team on vendors in memory, its sensors ticked by hand on an instance of Dagster in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pyarrow as pa
import pytest

from loopline.asset_defs.keys import key
from loopline.asset_defs.platform_resource import PlatformResource
from loopline.asset_defs.team import team_definitions
from loopline.platform_core import turn
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import AtLeast, Drift, ErrorRate, Labels, Model, Rollout, Source, Team
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.event_source import InMemoryDelivery, InMemoryEventSource
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.training import training_set
from loopline.platform_core.training.training_set import TrainingSet
from loopline.resources.polars.engine import PolarsEngine

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: tiny-events
version: 1.0.0
status: active
schema:
  - name: events
    properties:
      - {name: who, physicalName: Who, logicalType: integer, required: true}
      - {name: at, physicalName: At, logicalType: timestamp, required: true, logicalTypeOptions: {format: "%Y-%m-%d"}}
"""
EVENTS = Source("events", "events.yaml")
SEEN = FeatureView("seen", EVENTS, "who", "at", lambda rows: rows)
LEFT = Labels("left", EVENTS, ("who",), "at", "left", "at", lambda rows: rows)


def tiny_model(name: str) -> Model:
    """Declare a model of two rollout steps; nobody fits it here."""
    return Model(
        name,
        features=(SEEN,),
        labels=LEFT,
        fit=lambda *_: None,
        gates=(AtLeast("roc_auc", 0.6),),
        rollout=Rollout(percents=(50, 100), bake_minutes=10, min_requests=5, judges=(ErrorRate(0.01),)),
        drift=Drift(min_rows=20, cooldown_hours=24, daily_budget=3),
    )


class Given(PlatformResource):
    """The platform of a test, given to runs as they would open it."""

    def open(self) -> Platform:
        """Return the platform of the test."""
        return PLATFORMS[self.environment]


NAME = "tiny"
PLATFORMS: dict[str, Platform] = {}
"""By name, for a resource holds configuration only."""


@dataclass
class Driver:
    """Ticks a team's sensors as the daemon does, and lets runs happen or not."""

    platform: Platform
    team: Team
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursors: dict[str, str | None] = field(default_factory=dict)

    def tick(self, sensor: str) -> tuple[list[dg.RunRequest], str]:
        """Tick a sensor; gives what it requests, and why it does not. Nothing is run."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            definitions=self.definitions,
            resources={"platform": self.platform},
        )
        found = self.definitions.get_repository_def().get_sensor_def(f"loopline_{sensor}_sensor")
        tick = found.evaluate_tick(context)
        self.cursors[sensor] = tick.cursor or self.cursors.get(sensor)
        return list(tick.run_requests or ()), tick.skip_message or ""

    def run(self, job: str, tags: Mapping[str, str], status: dg.DagsterRunStatus) -> str:
        """Let there be a run that came as far as ``status``."""
        run = dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=status, tags=dict(tags))
        return self.instance.add_run(run).run_id

    def of(self, team: Team) -> Driver:
        """Return the same installation with another team in it."""
        return replace(self, team=team, definitions=team_definitions(team, Given(environment=NAME)))

    def without(self, model: str) -> Driver:
        """Return the same installation after the team has dropped a model."""
        return self.of(replace(self.team, models=tuple(m for m in self.team.models if m.name != model)))

    def seeing(self, view: FeatureView) -> Driver:
        """Return the same installation whose models have another view, and a store for it."""
        self.platform.environment.bindings["online_store"] = InMemoryOnlineStore()
        return self.of(replace(self.team, models=tuple(replace(m, features=(view,)) for m in self.team.models)))

    def execute(self, job: str, **how: Any) -> dg.ExecuteInProcessResult:
        """Run a job in this process."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **how
        )

    def check_drift(self, model: str, alarm: str = "") -> None:
        """Let the drift check of a model have been executed."""
        asset = key(self.team.name, "drift", model)
        metadata = {"reason": dg.MetadataValue.text(alarm or "quiet")}
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                check_name="drift",
                asset_key=asset,
                passed=not alarm,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=metadata,
            )
        )

    def later(self, hours: float) -> datetime:
        """Move the platform's clock."""
        clock = self.platform.clock
        assert isinstance(clock, ReplayClock)
        clock.set(clock.now() + timedelta(hours=hours))
        return clock.now()

    def trained(self, model: str, cycle: str, roc_auc: float) -> str:
        """Let the cycle have pinned its training set and registered a version; gives the version."""
        version = self.published(model)
        pinned = TrainingSet("pinned", self.team.name, model, T0, {}, "spec", "rows", 100, {"positives": 10})
        fitted = {"version": version, "metrics": {"roc_auc": roc_auc}, "champion_metrics": None, "segments": {}}
        fitted |= {"params": {}, "package_kind": "onnx", "seconds": 1.0}
        for kind, details in ((turn.PINNED, training_set.to_json(pinned)), (turn.REGISTERED, fitted)):
            self.platform.ledger.record(Entry(kind, T0, self.team.name, model, cycle, details=details))
        return version

    def judged(self, model: str, cycle: str, passed: bool = True) -> str:
        """Register a version of a cycle, and let its gates have judged it."""
        ref, version = ModelRef(self.team.name, model), self.published(model)
        verdict = Verdict((GateReading("AtLeast(roc_auc)", 1, 0.5, 0.6, passed=passed, detail=""),))
        gates.record_verdict(self.platform.ledger, ref, cycle, version, verdict, self.platform.clock.now())
        return version

    def published(self, model: str) -> str:
        """Register a version."""
        package = self.platform.home / "built" / uuid4().hex
        write_package(package, Constant(0.5))
        name = ModelRef(self.team.name, model).dotted
        return self.platform.registry.publish(Publication(name, package, None, pa.table({}))).version

    def open_cycle(self, model: str, name: str) -> str:
        """Open a cycle by hand."""
        ref, rule = ModelRef(self.team.name, model), self.team.model(model).drift
        now = self.platform.clock.now()
        return cycles.open_cycle(self.platform.ledger, ref, rule, name, name, now, force=True).cycle_id

    def state(self, cycle: str) -> tuple[str, str]:
        """Return a cycle's state and verdict."""
        found = cycles.cycle(self.platform.ledger, cycle)
        return found.state, found.verdict

    def deliver(self, name: str, content: str) -> None:
        """Let a file of the team's source arrive."""
        events = self.platform.event_source
        assert isinstance(events, InMemoryEventSource)
        InMemoryDelivery(events).whole(f"{self.team.name}/events", name, content.encode(), T0)


@pytest.fixture(scope="session")
def _of_a_laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """Open an instance on SQLite once: to make its tables takes seconds."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def on_sqlite(_of_a_laptop: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """Give an instance on SQLite, as a laptop has it; it launches runs on this machine, and holds none yet."""
    yield _of_a_laptop
    _of_a_laptop.wipe()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Team, dg.Definitions]:
    """Declare a team of two models, once."""
    folder = tmp_path_factory.mktemp(NAME)
    folder.joinpath("events.yaml").write_text(CONTRACT)
    team = Team(NAME, folder, models=(tiny_model("one"), tiny_model("two")))
    return team, team_definitions(team, Given(environment=NAME))


@pytest.fixture
def driver(tmp_path: Path, tiny: tuple[Team, dg.Definitions]) -> Iterator[Driver]:
    """Give the team on vendors in memory."""
    bindings = {
        "engine": PolarsEngine(),
        "lake": InMemoryLake(),
        "event_source": InMemoryEventSource(),
        "registry": InMemoryRegistry(),
        "serving": InMemoryServing(),
    }
    bound = Environment(
        NAME, tmp_path / "tiny.yaml", bindings, f"sqlite:///{tmp_path}/l.db", tmp_path / "clock", tmp_path
    )
    platform = PLATFORMS[NAME] = Platform(bound)
    ReplayClock(tmp_path / "clock").set(T0)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Driver(platform, tiny[0], instance, tiny[1])
    platform.close()
    del PLATFORMS[NAME]
