"""A whole installation in one process: real vendors, a real inference server, and Dagster's sensors ticked by hand."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from loopline.asset_defs.platform_resource import PlatformResource
from loopline.asset_defs.team import team_definitions
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.ports import free_port

ENVIRONMENT = """
name: walk
bindings:
  lake: {{vendor: delta, root: "{home}/lake"}}
  online_store: {{vendor: sqlite, path: "{home}/online.db"}}
  event_source: {{vendor: folder, root: "{home}/landing"}}
  engine: {{vendor: polars}}
  registry: {{vendor: mlflow, tracking_uri: "sqlite:///{home}/mlflow.db", artifacts: "{home}/mlflow"}}
  compute: {{vendor: in_process}}
  serving: {{vendor: local, root: "{home}/serving", port: {port}}}
  drift_report: {{vendor: evidently, max_rows: 500}}
ledger: "sqlite:///{home}/ledger.db"
clock: {{replay: "{home}/clock"}}
"""


class Driver:
    """Dagster's daemon in this process: evaluates a sensor and executes what it requests."""

    def __init__(self, team: Team, environment: Path) -> None:
        self.platform = Platform.open(environment)
        self.instance = dg.DagsterInstance.ephemeral()
        resource = PlatformResource(environment=str(environment))
        self.definitions = team_definitions(team, resource)
        self.resource = resource
        self.cursors: dict[str, str | None] = {}
        self.keys: set[str] = set()

    def tick(self, name: str) -> tuple[list[dg.ExecuteInProcessResult], str | None]:
        """Tick a sensor once; return its runs, and why it skipped."""
        sensor = self.definitions.resolve_sensor_def(name)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            definitions=self.definitions,
            resources={"platform": self.resource.open()},
        )
        tick = sensor.evaluate_tick(context)
        self.cursors[name] = tick.cursor or self.cursors.get(name)
        runs = [self._execute(sensor, request) for request in tick.run_requests or () if self._is_new(request)]
        return runs, tick.skip_message

    def run(self, job: str, selection: list[dg.AssetKey]) -> dg.ExecuteInProcessResult:
        """Run some assets of a job, as a person would from the UI."""
        chosen = self.definitions.resolve_job_def(job)
        return chosen.execute_in_process(instance=self.instance, asset_selection=selection)

    def observations(self, key: dg.AssetKey) -> list[dict[str, object]]:
        """Return the metadata of every observation of an asset, oldest first."""
        records = self.instance.fetch_observations(key, limit=100).records
        return [{name: value.value for name, value in r.asset_observation.metadata.items()} for r in reversed(records)]

    def _is_new(self, request: dg.RunRequest) -> bool:
        if request.run_key is None:
            return True
        known = request.run_key in self.keys
        self.keys.add(request.run_key)
        return not known

    def _execute(self, sensor: dg.SensorDefinition, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(request.job_name or sensor.job_name)
        return job.execute_in_process(
            instance=self.instance,
            run_config=request.run_config or {},
            tags=dict(request.tags),
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            raise_on_error=False,
        )


@contextmanager
def in_force(folder: Path, environment: str) -> Iterator[Path]:
    """Give an installation's folder with its environment file, which every process here finds."""
    file = folder / "environment.yaml"
    file.write_text(environment)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LOOPLINE_HOME", str(folder))
        patched.setenv("LOOPLINE_ENVIRONMENT", str(file))
        yield folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation's folder, with its environment file in force."""
    folder = tmp_path_factory.mktemp("home")
    with in_force(folder, ENVIRONMENT.format(home=folder, port=free_port())):
        yield folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[None]:
    """The inference server as a process of its own."""
    environment = home / "environment.yaml"
    with inference_server(environment, Platform.open(environment).serving.port) as process:
        yield
    assert process.returncode in {0, -signal.SIGTERM}


@pytest.fixture(scope="module")
def clock(home: Path) -> ReplayClock:
    """The data's own clock."""
    return ReplayClock(home / "clock")


@pytest.fixture(scope="module")
def drive() -> type[Driver]:
    """Dagster's daemon in this process."""
    return Driver
