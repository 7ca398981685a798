"""What the tests of the walk see of an installation from outside, and what they let happen to it."""

from __future__ import annotations

import http.client
import math
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes import client

from loopline.graphql import Dagster, repository
from loopline.platform_core.foundation.names import AssetName, ModelRef, prediction_table
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.platform_core.loop.rollouts import rollout_table
from loopline.platform_core.monitor.drift.drift_windows import WINDOW
from loopline.platform_core.specs import Drift
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.kubernetes.names import job_name
from loopline.resources.kubernetes.serving import KubernetesServing
from loopline.resources.object_store.objects import Objects
from scripts.cluster import images
from scripts.cluster.outside import Cluster
from tests.cluster import installed_chart
from tests.cluster.callers import Caller
from tests.cluster.gateway import gateway
from tests.cluster.installed_chart import NAMESPACE, TEAM, Installation
from tests.cluster.killing import running
from tests.cluster.kubernetes_cluster import GATEWAY_PORT

REF = ModelRef(TEAM, "cracks")
SERVING, CODE = f"{NAMESPACE}-serving", f"{NAMESPACE}-{TEAM}"
KILNS, TILES = 600, 3
T = TypeVar("T")
_STEPS = {
    "cycle.opened": "a cycle is open",
    "model.registered": "its model is trained and registered",
    "rollout.started": "its rollout has begun",
}
"""What the ledger says of a turn of the loop, in order."""
_SECOND = "%Y-%m-%d %H:%M:%S"
_MATERIALIZED = """
query ($path: [String!]!) {assetOrError(assetKey: {path: $path}) {
  ... on Asset {assetMaterializations(limit: 1) {runId timestamp}}}}"""
_SENSORS = """
query ($repository: RepositorySelector!) {repositoryOrError(repositorySelector: $repository) {... on Repository {
  sensors {name sensorState {ticks(limit: 1) {status timestamp skipReason error {message}}}}}}}"""


@dataclass
class Walk:
    """The installation, and what the tests see of it from outside."""

    installation: Installation
    core: client.CoreV1Api
    dagster: Dagster
    ledger: Ledger
    port: int

    def until(self, ready: Callable[[], T | None], what: str, seconds: float = 300) -> T:
        """Wait for something and return it; fails with what the pods show, and what the team's sensors said last."""
        try:
            return installed_chart.until(ready, what, seconds, self.core)
        except pytest.fail.Exception as failure:
            failure.add_note(self.sensors())
            raise

    def sensors(self) -> str:
        """Return why the team's sensors did nothing at their last look, or what went wrong with it."""
        found = self.dagster.ask(_SENSORS, repository=repository(TEAM))["repositoryOrError"]
        return "\n".join(f"{one['name']}: {one['sensorState']['ticks']}" for one in found.get("sensors", ()))

    def caller(self) -> Caller:
        """Return somebody who asks about kilns."""
        return Caller(self.port, REF.dotted, "kiln", KILNS)

    def go_live(self, heat: float) -> None:
        """Let the first files land, the first version be trained, and an endpoint answer with it."""
        self.inspect("first.csv", self.fire("first.csv", heat))
        cycle = self.closed(self.open("first"))
        assert cycle.state == "promoted", f"{cycle}\n{installed_chart.shown(self.core)}"
        self.until(lambda: self.caller().ask(1)[0] == http.client.OK, "an answer")

    def fire(self, name: str, heat: float) -> dict[int, float]:
        """Let a file of firings arrive, one of each kiln, and wait until the features are online; gives the heats."""
        before, heats = self.features(), self.deliver_firings(name, heat)
        self.until(lambda: self.features() != before, f"the features of {name}")
        return heats

    def deliver_firings(self, name: str, heat: float) -> dict[int, float]:
        """Let a file of firings arrive, and wait for nothing."""
        chance, now = random.Random(name), datetime.now(UTC)
        heats = {kiln: chance.gauss(heat, 20) for kiln in range(KILNS)}
        lines = ["Kiln,Fired,Heat", *(f"{k},{now:{_SECOND}},{h:.2f}" for k, h in heats.items())]
        self.deliver(TEAM, "firings", name, lines)
        return heats

    def inspect(self, name: str, heats: dict[int, float]) -> None:
        """Let a file of inspections arrive: tiles crack the more often the hotter they were fired."""
        before = self.landed("inspections")
        self.deliver_inspections(name, heats)
        self.until(lambda: self.landed("inspections") != before, f"the rows of {name}")

    def deliver_inspections(self, name: str, heats: dict[int, float]) -> None:
        """Let a file of inspections arrive, and wait for nothing."""
        chance, now, lines = random.Random(name), datetime.now(UTC), ["Kiln,Inspected,Cracked"]
        for kiln, heat in heats.items():
            for tile in range(TILES):
                cracked = int(chance.random() < 1 / (1 + math.exp((100 - heat) / 10)))
                lines.append(f"{kiln},{now + timedelta(seconds=tile):{_SECOND}},{cracked}")
        self.deliver(TEAM, "inspections", name, lines)

    def deliver(self, team: str, source: str, name: str, lines: list[str]) -> None:
        """Let a file arrive, whole."""
        folder = self.installation.landing / team / source
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}"
        draft.write_text("\n".join(lines) + "\n")
        draft.chmod(0o644)
        draft.rename(folder / name)

    def features(self) -> list[Any]:
        """Return the newest materialization of the features."""
        return self._newest("features", "kiln_heat")

    def landed(self, source: str, team: str = TEAM) -> list[Any]:
        """Return the newest landing of a source."""
        return self._newest("raw", source, team)

    def _newest(self, stage: str, name: str, team: str = TEAM) -> list[Any]:
        found = self.dagster.ask(_MATERIALIZED, path=list(AssetName(team, stage, name).path))["assetOrError"]
        return list(found.get("assetMaterializations", ()))

    def open(self, name: str, **more: Any) -> str:
        """Open a cycle, as a person would."""
        now = datetime.now(UTC)
        return cycles.open_cycle(self.ledger, REF, Drift(), name, name, now, force=True, **more).cycle_id

    def closed(self, cycle: str, seconds: float = 600) -> cycles.Cycle:
        """Wait for a cycle's end."""

        def ended() -> cycles.Cycle | None:
            found = cycles.cycle(self.ledger, cycle)
            return found if found.state != "open" else None

        return self.until(ended, f"the end of {cycle}", seconds)

    def promoted_for(self, cause: str, before: set[str]) -> cycles.Cycle:
        """Wait for a cycle of a cause that was not there before, and that ends well."""

        def found() -> cycles.Cycle | None:
            new = [one for one in cycles.cycles(self.ledger, REF) if one.cycle_id not in before]
            ended = [one for one in new if one.state not in {"open", "promoted"}]
            assert not ended, f"{ended}\n{installed_chart.shown(self.core)}"
            return next((one for one in new if one.cause.startswith(cause) and one.state == "promoted"), None)

        return self.until(found, f"a promotion for {cause}", 600)

    def turn_seconds(self, cycle: cycles.Cycle, caller: Caller) -> dict[str, float]:
        """Return how long after drift was written down each step of the cycle for it was done."""
        entries = {entry.kind: entry for entry in history.of_cycle(self.ledger, REF, cycle.cycle_id)}
        (drift,) = self.ledger.entries(REF, [WINDOW], until=entries["cycle.opened"].at, newest_first=True, limit=1)
        moments = {step: _recorded(entries[kind]) for kind, step in _STEPS.items()}
        moments["the candidate answers"] = caller.first_at[entries["rollout.started"].version]
        return {step: moment - _recorded(drift) for step, moment in moments.items()}

    def stable(self) -> str:
        """Return the version that is live."""
        live = deployments.deployment(self.ledger, REF)
        assert live is not None
        assert live.stable is not None
        return live.stable.version

    def rolls_out(self, cycle: str) -> bool:
        """Say whether a cycle's candidate is on its way."""
        record = rollout_table.running(self.ledger, REF)
        return record is not None and record.cycle == cycle

    def training(self, cycle: str) -> Any:
        """Return the pod in which a cycle's training runs; None while it does not."""
        found = running(self.core, CODE, f"batch.kubernetes.io/job-name={job_name(cycle)}")
        return found[0] if found else None

    def alive(self, pods: list[Any]) -> set[str]:
        """Return which of an endpoint's pods are still there, by name."""
        names = {pod.metadata.name for pod in self.core.list_namespaced_pod(SERVING).items}
        return names & {pod.metadata.name for pod in pods}

    def working_daemon(self) -> Any:
        """Return the pod of the daemon that has the lease."""
        for pod in running(self.core, NAMESPACE, "app.kubernetes.io/name=daemon"):
            if "the lease is ours" in self.core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE):
                return pod
        raise AssertionError(installed_chart.shown(self.core))

    def settled(self) -> bool:
        """Say whether every server has come to what was asked for last."""
        live = deployments.deployment(self.ledger, REF)
        seen = self.serving().observe(REF.dotted)
        return live is not None and seen.ready and seen.generation == live.generation

    @property
    def place(self) -> str:
        """Return where everything lies in the object store."""
        return self.installation.outside.secret["LOOPLINE_STORE"]

    def serving(self, **more: Any) -> KubernetesServing:
        """Return the endpoints as whoever deploys sees them, from outside."""
        options = self.installation.outside.store.options
        return KubernetesServing(store=f"{self.place}/serving", storage_options=options, image=images.NAME, **more)

    def run_logs(self) -> str:
        """Return what Dagster's runs have written."""
        kept = Objects(self.place, self.installation.outside.store.options)
        found = [kept.read(one.key) for one in kept.listed("run-logs")]
        return "\n".join(one[0].decode(errors="replace") for one in found if one)

    def jobs_pods(self, cycle: str) -> list[str]:
        """Return the pods that a cycle's training has had, by name."""
        selector = f"batch.kubernetes.io/job-name={job_name(cycle)}"
        return [pod.metadata.name for pod in self.core.list_namespaced_pod(CODE, label_selector=selector).items]

    def logged(self) -> set[str]:
        """Return the requests whose answers are in the prediction log, or in the lake already."""
        options = {**self.installation.outside.store.options, "aws_allow_http": "true"}
        lake, table = DeltaLake(root=f"{self.place}/lake", storage_options=options), prediction_table(*REF)
        found = set() if lake.version(table) is None else set(lake.read(table)["request_id"].to_pylist())
        return found | set(self.serving().predictions(REF.dotted, None)[0]["request_id"].to_pylist())


@contextmanager
def behind_a_gateway(cluster: Cluster, api: client.ApiClient, installation: Installation) -> Iterator[Walk]:
    """Put a gateway before the installation, which makes each model's route."""
    core, port = client.CoreV1Api(api), cluster.ports[str(GATEWAY_PORT)]
    ledger = Ledger.open(installation.outside.ledger)
    with gateway(cluster, api, GATEWAY_PORT):
        yield Walk(installation, core, Dagster(f"{installation.web}/graphql"), ledger, port)
        if kept := os.environ.get("LOOPLINE_WALK_SHOWN"):
            Path(kept).write_text(installed_chart.shown(core, 200))
    ledger.close()
    apps = client.AppsV1Api(api)
    for group in apps.list_namespaced_deployment(SERVING).items:
        apps.delete_namespaced_deployment(group.metadata.name, SERVING)


def _recorded(entry: Entry) -> float:
    assert entry.recorded_at is not None
    return entry.recorded_at.timestamp()
