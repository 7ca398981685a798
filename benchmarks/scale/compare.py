"""A thousand models of two hundred teams on five hundred nodes: what it asks of the API server, and of ourselves."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client

from benchmarks.page import Promise, Section
from benchmarks.scale import parts
from benchmarks.scale.counted import Calls
from scripts.cluster.images import only_pause
from scripts.cluster.outside import Cluster, missing, obstacle, running
from scripts.cluster.pools import Pool
from scripts.cluster.settings import NODE
from scripts.cluster.simulated_pods import SimulatedPods

HOW = """{models:,} models of {teams} teams on {nodes} nodes: a real Kubernetes 1.35 (API server, etcd, controllers and
scheduler on this machine) whose nodes are objects with a lease, and whose pods are said to run by a process of ours.
Calls are counted by the API server itself: what we ask has a flow of its own, and the server's metrics tell how many
requests of it were dispatched. Processor time is our process's own. *Chart*: its values are a line a team; Helm's
release is one Secret, which Kubernetes limits to 1 MB, as it does each object. *Mirror*: the process that shows models,
cycles and rollouts as objects (`loopmodels` ...), from an empty cluster, and then while nothing happens. *Training*:
{jobs} Jobs at once by our compute in one process, which run for {job_seconds:g} s. *Deployed*: {deployed} models,
each with a Deployment of its own. *Silent endpoints*: a look at every endpoint when no server answers for any of them,
which is when the API is asked why; endpoints that answer cost it nothing, since servers tell of themselves through the
object store. *A team's look*: what the sensors of one team with five models ask the ledger in which all models are."""
HEADER = ("what", "figure", "of it")


@dataclass(frozen=True)
class Size:
    """How large it is."""

    models: int
    teams: int
    nodes: int
    jobs: int
    deployed: int
    job_seconds: float
    rest_seconds: float


WHOLE = Size(1_000, 200, 500, 100, 200, 45, 60)
QUICK = Size(100, 20, 50, 10, 20, 5, 10)


@dataclass(frozen=True)
class Place:
    """Where it is measured."""

    cluster: Cluster
    api: Any
    calls: Calls
    folder: Path
    size: Size


def compare(quick: bool = False) -> Section:
    """Measure each part on one cluster."""
    size = QUICK if quick else WHOLE
    if problem := obstacle() or (missing() and f"{', '.join(missing())} missing: run scripts/cluster.sh"):
        raise RuntimeError(problem)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loopline-scale-")))
        cluster = stack.enter_context(running(folder / "cluster", only_pause()))
        place = Place(cluster, _api(cluster), Calls(_api(cluster)), folder, size)
        return section(size, list(_measured(place, stack)))


def section(size: Size, found: Sequence[parts.Figure]) -> Section:
    """Put the figures below each other."""
    rows = [[one.what, str(one), one.of] for one in found]
    promises = [Promise(one.what, one.value, one.bound, f" {one.unit}") for one in found if one.bound is not None]
    said = {name: getattr(size, name) for name in ("models", "teams", "nodes", "jobs", "deployed", "job_seconds")}
    return Section("Scale on a cluster", HOW.format(**said), HEADER, rows, promises)


def _measured(place: Place, stack: ExitStack) -> Iterator[parts.Figure]:
    began = time.monotonic()
    names = [f"simulated-{number:04}" for number in range(place.size.nodes)]
    capacity = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "200Gi"}
    client.CoreV1Api(place.api).patch_node(NODE, {"spec": {"unschedulable": True}})  # it would pull images
    stack.enter_context(Pool(_api(place.cluster), names, capacity))
    _tell("nodes", began)
    stack.enter_context(SimulatedPods(_api(place.cluster), names, place.size.job_seconds, parts.answer()))
    steps: tuple[Callable[[Any], Iterator[parts.Figure]], ...] = (
        parts.chart,
        parts.mirror,
        parts.training,
        parts.endpoints,
        parts.looks,
    )
    for step in steps:
        yield from step(place)
        _tell(step.__name__, began)


def _api(cluster: Cluster) -> Any:
    from kubernetes import config

    return config.new_client_from_config(str(cluster.kubeconfig))


def _tell(what: str, began: float) -> None:
    print(f"scale: {what}, after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
