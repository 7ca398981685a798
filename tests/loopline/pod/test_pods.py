"""Code server, web servers and daemons as a cluster runs them, each a process with a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from loopline.graphql import Dagster
from loopline.platform_core.errors import StoreUnavailable
from loopline.up.ports import free_port

pytestmark = pytest.mark.timeout(600)
ENVIRONMENT = """
name: apart
bindings:
  lake: {{vendor: delta, root: "{shared}/lake"}}
  online_store: {{vendor: sqlite, path: "{shared}/online.db"}}
  event_source: {{vendor: folder, root: "{shared}/landing"}}
  engine: {{vendor: polars}}
  registry: {{vendor: mlflow, tracking_uri: "sqlite:///{shared}/mlflow.db", artifacts: "{shared}/mlflow"}}
  compute: {{vendor: in_process}}
  serving: {{vendor: local, root: "{shared}/serving", port: 1}}
  drift_report: {{vendor: evidently}}
ledger: "{ledger}"
dagster:
  storage: "{storage}"
  run_logs: "{logs}"
  run_logs_options: {options}
"""
LOGS = """
query ($run: ID!) {logsForRun(runId: $run) {... on EventConnection {events {
  __typename ... on LogsCapturedEvent {fileKey}}}}}"""
CAPTURED = """
query ($key: [String!]!) {capturedLogs(logKey: $key) {stdout stderr}}"""


class Pods:
    """Starts what containers start."""

    def __init__(self, folder: Path, environment: str) -> None:
        self.folder, self.environment = folder, folder / "environment.yaml"
        self.environment.write_text(environment)
        self.workspace = folder / "workspace.yaml"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Run a container's command; one that was there goes on with its home, as a container that is started anew."""
        own = {"LOOPLINE_ENVIRONMENT": str(self.environment), "LOOPLINE_HOME": str(self.folder / name)}
        with self.folder.joinpath(f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "loopline.cli", "pod", *arguments],
                env={**os.environ, **own, "LOOPLINE_WORKSPACE": str(self.workspace)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill all processes of a container."""
        with suppress(ProcessLookupError):
            os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running.pop(name).wait()

    def locate(self, **ports: int) -> None:
        """Write the workspace as a ConfigMap is: another file in the old one's place."""
        servers = [
            {"grpc_server": {"host": "127.0.0.1", "port": p, "location_name": name}} for name, p in ports.items()
        ]
        draft = self.workspace.with_suffix(".draft")
        draft.write_text(yaml.safe_dump({"load_from": servers}))
        draft.rename(self.workspace)

    def said(self, name: str) -> str:
        """Return what a container wrote."""
        return self.folder.joinpath(f"{name}.log").read_text()


@pytest.fixture
def pods(tmp_path, new_database, s3_server) -> Iterator[Pods]:
    """Give empty databases and an object store; everything that was started ends with the test."""
    text = ENVIRONMENT.format(
        shared=tmp_path / "shared",
        ledger=new_database(),
        storage=new_database(),
        logs=s3_server.place(),
        options=s3_server.options_in_file,
    )
    found = Pods(tmp_path, text)
    try:
        yield found
    finally:
        for name in list(found.running):
            found.kill(name)


def until(condition, what, seconds=120):
    """Wait for something and return it; fails with what was waited for."""
    end = time.monotonic() + seconds
    while True:
        with suppress(StoreUnavailable):
            if found := condition():
                return found
        assert time.monotonic() < end, what()
        time.sleep(0.1)  # between two looks


def states(dagster: Dagster) -> dict[str, str]:
    """Return the code locations as a web server sees them."""
    return {one.name: one.state for one in dagster.locations()}


def test_parts_that_share_no_disk_are_one_dagster(pods):
    """A run goes from one web server through the queue to a team's code server; the other web server has its log.

    A team that comes is seen without a restart, one whose server does not answer is broken alone. A code server that is
    killed takes its run along, and the next one says so. Of two daemons the other one goes on.
    """
    ports = {name: free_port() for name in ("retail", "loopline", "nobody")}
    web = [free_port(), free_port()]
    pods.locate(retail=ports["retail"])
    for name in ("retail", "loopline"):
        pods.start(f"code-{name}", "code-server", name, "--port", str(ports[name]))
    for number, port in enumerate(web):
        pods.start(f"web-{number}", "web-server", "--open", "--port", str(port))
        pods.start(f"daemon-{number}", "daemon")
    first, second = (Dagster(f"http://127.0.0.1:{port}/graphql") for port in web)
    until(lambda: states(first) == states(second) == {"retail": "loaded"}, lambda: pods.said("web-0"))

    run = first.launch("retail", "loopline_lake_care")
    assert second.wait(run) == "SUCCESS"
    keys = [event["fileKey"] for event in second.ask(LOGS, run=run)["logsForRun"]["events"] if "fileKey" in event]
    captured = second.ask(CAPTURED, key=[run, "compute_logs", keys[0]])["capturedLogs"]
    assert "STEP_SUCCESS" in (captured["stderr"] or ""), captured

    pods.locate(**ports)
    until(
        lambda: states(second) == {"retail": "loaded", "loopline": "loaded", "nobody": "broken"},
        lambda: str(states(second)),
    )

    def launched_and_killed() -> str:
        run = first.launch("retail", "loopline_lake_care")
        until(lambda: first.run_status(run) in {"STARTED", "SUCCESS"}, lambda: pods.said("daemon-0"))
        os.killpg(pods.running["code-retail"].pid, signal.SIGSTOP)
        return run

    run = launched_and_killed()
    assert first.run_status(run) == "STARTED"
    pods.kill("code-retail")
    pods.start("code-retail", "code-server", "retail", "--port", str(ports["retail"]))
    assert first.wait(run, 60) == "FAILURE"
    until(lambda: states(first)["retail"] == "loaded", lambda: pods.said("web-0"))

    worked = next(n for n in (0, 1) if "the lease is ours" in pods.said(f"daemon-{n}"))
    assert "the lease is ours" not in pods.said(f"daemon-{1 - worked}")
    killed = time.monotonic()
    pods.kill(f"daemon-{worked}")
    run = first.launch("loopline", "loopline_scorecard")
    assert first.wait(run, 120) == "SUCCESS"
    assert time.monotonic() - killed < 90  # ten seconds on a machine that is not overcommitted


STARTED = """
query ($run: ID!) {runOrError(runId: $run) {... on Run {startTime creationTime endTime tags {key value}}}}"""


def test_a_step_of_a_rollout_waits_behind_no_backfill(pods):
    """Asked for last, it starts first: nothing that the queue holds goes before it, and its team's share is not its."""
    text = pods.environment.read_text().replace("dagster:\n", "dagster:\n  runs: 2\n  team_runs: 1\n")
    pods.environment.write_text(text)
    ports = {"retail": free_port()}
    web = free_port()
    pods.locate(**ports)
    pods.start("code-retail", "code-server", "retail", "--port", str(ports["retail"]))
    pods.start("web", "web-server", "--open", "--port", str(web))
    dagster = Dagster(f"http://127.0.0.1:{web}/graphql")
    until(lambda: states(dagster) == {"retail": "loaded"}, lambda: pods.said("web"), 300)
    days = [dagster.launch("retail", "loopline_lake_care", {"dagster/backfill": "months"}) for _ in range(2)]
    care = dagster.launch("retail", "loopline_lake_care")
    config = {"ops": {"take_step": {"config": {"rollout_id": "none"}}}}
    step = dagster.launch("retail", "loopline_rollout_step", run_config=config)
    pods.start("daemon", "daemon")
    assert dagster.wait(step) == "FAILURE"  # there is no such rollout
    assert [dagster.wait(run) for run in (care, *days)] == ["SUCCESS"] * 3
    found = {run: dagster.ask(STARTED, run=run)["runOrError"] for run in (step, care, *days)}
    assert min(found, key=lambda run: found[run]["startTime"]) == step
    assert found[care]["startTime"] < min(found[run]["startTime"] for run in days)
    first, last = sorted(days, key=lambda run: found[run]["startTime"])
    assert found[care]["endTime"] <= found[first]["startTime"]  # one of the team at a time
    assert found[first]["endTime"] <= found[last]["startTime"]
    tags = {run: {one["key"]: one["value"] for one in found[run]["tags"]} for run in found}
    assert "loopline/share" not in tags[step]
    assert tags[care]["loopline/share"] == tags[step]["loopline/team"] == "retail"
    assert tags[days[0]]["loopline/days"] == "retail"
