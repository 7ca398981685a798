"""A real Dagster with a history of its own: what its assets, ticks and runs say was written by Dagster itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from loopline.graphql import Dagster
from loopline.platform_core.errors import StoreUnavailable
from loopline.up.ports import free_port

DEFINITIONS = '''
"""A team's location as the platform makes it, with little behind it."""

import dagster as dg


def asset(stage, name="roses"):
    @dg.asset(key=["garden", f"{name}_{stage}"])
    def made() -> None:
        """Nothing to do."""

    return made


predictions, drift = asset("predictions"), asset("drift")
fresh = [asset(stage, "tulips") for stage in ("predictions", "drift", "quality")]


def check(of, name, passed, **more):
    blocking, severity = more.pop("blocking", False), more.pop("severity", dg.AssetCheckSeverity.WARN)

    @dg.asset_check(asset=of, name=name, blocking=blocking)
    def looked():
        if passed is None:
            raise OSError("the disk is gone")
        return dg.AssetCheckResult(passed=passed, severity=severity, **more)

    return looked


raw, model = asset("raw", "orders"), asset("model")
checks = [
    check(raw, "volume", False, description="3 rows where 900 are usual"),
    check(raw, "nulls", True),
    check(raw, "contract", False, metadata={"dead_share": 0.25, "refused": dg.MetadataValue.json(["a.csv: torn"])}),
    check(raw, "bare", False),
    check(raw, "ranges", None),
    check(drift, "drift", False, metadata={"reason": "the kernel says so itself"}),
    check(drift, "fairness", False, severity=dg.AssetCheckSeverity.ERROR, metadata={"reason": "DE 0.4 below FR"}),
    check(model, "gates", False),
]


@dg.op
def fails():
    raise OSError("no space left")


@dg.job(tags={"loopline/model": "garden/roses"})
def doomed():
    fails()


@dg.job(tags={"loopline/model": "garden/roses"})
def loopline_cycle():
    """As where a gate refuses."""
    fails()


RUNNING, STOPPED = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED


def sensor(name, status=RUNNING):
    @dg.sensor(name=name, job=doomed, minimum_interval_seconds=5, default_status=status)
    def look(context):
        return None

    return look


sensors = [sensor(name) for name in ("silent", "failing", "hiccup", "well", "lonely")]
sensors += [sensor("never_wanted", STOPPED)]


@dg.schedule(job=doomed, cron_schedule="*/20 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def every_twenty():
    return {}


defs = dg.Definitions(
    assets=[predictions, drift, raw, model, *fresh], asset_checks=checks, jobs=[doomed, loopline_cycle],
    sensors=sensors, schedules=[every_twenty],
)
'''


@dataclass(frozen=True)
class Garden:
    """A web server on the history that the tests look at."""

    url: str
    home: Path

    @property
    def dagster(self) -> Dagster:
        """Return its GraphQL."""
        return Dagster(f"{self.url}/graphql")


@pytest.fixture(scope="session")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garden]:
    """Write a history, then serve it."""
    home = tmp_path_factory.mktemp("garden")
    home.joinpath("dagster.yaml").write_text("telemetry: {enabled: false}\n")
    home.joinpath("garden.py").write_text(DEFINITIONS)
    home.joinpath("torn.py").write_text("import nothing_of_that_name\n")
    server: list[Any] = [
        {"python_file": {"relative_path": f"{name}.py", "location_name": name}} for name in ("garden", "torn")
    ]
    server.append({"grpc_server": {"host": "127.0.0.1", "port": free_port(), "location_name": "absent"}})
    home.joinpath("workspace.yaml").write_text(f"load_from: {server}")
    subprocess.run((sys.executable, "-c", WRITES), env=_variables(home), cwd=home, check=True, capture_output=True)
    port = free_port()
    command = ("-m", "dagster_webserver", "--port", str(port), "--workspace", "workspace.yaml")
    with home.joinpath("log").open("wb") as log:
        process = subprocess.Popen(
            (sys.executable, *command), env=_variables(home), cwd=home, stdout=log, stderr=subprocess.STDOUT
        )
    found = Garden(f"http://127.0.0.1:{port}", home)
    try:
        _wait(found)
        yield found
    finally:
        process.terminate()
        process.wait(200)


WRITES = """
import dagster as dg
from garden import defs

with dg.DagsterInstance.get() as instance:
    everything = defs.resolve_implicit_global_asset_job_def()
    old = [node.key for node in defs.resolve_asset_graph().asset_nodes if not node.key.path[-1].startswith("tulips_")]
    everything.execute_in_process(instance=instance, raise_on_error=False, asset_selection=old)
    only = [dg.AssetKey(["garden", f"{name}_predictions"]) for name in ("roses", "tulips")]
    everything.execute_in_process(instance=instance, asset_selection=only)
    for name in ("doomed", "loopline_cycle", "doomed", "loopline_cycle"):
        defs.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False)
    job = defs.resolve_job_def("doomed")
    instance.create_run_for_job(job, tags={"loopline/source": "garden/orders"})
    begun = instance.create_run_for_job(job, tags={"loopline/model": "garden/roses"})
    began = dg.DagsterEvent("PIPELINE_START", "doomed")
    instance.report_dagster_event(began, begun.run_id)
"""


def _variables(home: Path) -> dict[str, str]:
    return {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(home), "PYTHONWARNINGS": "ignore"}


def _wait(garden: Garden) -> None:
    give_up = time.monotonic() + 400
    while time.monotonic() < give_up:
        try:
            states = {one.state for one in garden.dagster.locations()}
        except StoreUnavailable:
            states = {"loading"}
        if states and "loading" not in states:
            return
        time.sleep(0.2)  # between two looks
    raise AssertionError(garden.home.joinpath("log").read_text())


def instance_of(home: Path) -> dg.DagsterInstance:
    """Open Dagster's instance of a home."""
    return dg.DagsterInstance.from_config(str(home))
