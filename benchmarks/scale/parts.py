"""What is measured, part by part."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import helm_python as helm
import psutil
import yaml

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.compute import ECHO
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.resources.kubernetes.compute import KubernetesCompute
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.mirror import SETTLED_SECONDS, Budget, Mirror
from loopline.resources.kubernetes.mirrored import objects
from loopline.resources.kubernetes.serving import KubernetesServing
from loopline.resources.kubernetes.settings import PlainSignIn
from loopline.resources.kubernetes.task_payload import Answer, pack_answer
from loopline.stories.portal_home import portal_home
from tests.deploy.helm_chart import CHART, LEAST, merged
from tests.s3_server import S3Server

if TYPE_CHECKING:
    from benchmarks.scale.compare import Place

NAMESPACE, RELEASE = "mlops", "loopline"
ENOUGH_CALLS = 1_000_000
MOST_BYTES = 1_000_000
PATIENCE_SECONDS = 900
REQUIREMENTS = Requirements(cpu=1, memory_gb=1)


@dataclass(frozen=True)
class Figure:
    """A figure, what it is a figure of, and what it may be at most, if that is promised."""

    what: str
    value: float
    unit: str
    of: str
    bound: float | None = None

    def __str__(self) -> str:
        """Write the value with its unit."""
        digits = 0 if self.value >= 100 or self.value == int(self.value) else 2
        return f"{self.value:,.{digits}f} {self.unit}"


def answer() -> str:
    """Return the last words of each Job's pod."""
    return pack_answer(Answer(json.dumps({"value": 7, "before": 0})))[0]


@contextmanager
def spent() -> Iterator[list[float]]:
    """Give a list that holds this process's processor seconds in the block, after it."""
    found = [0.0]
    before = time.process_time()
    yield found
    found[0] = time.process_time() - before


def chart(place: Place) -> Iterator[Figure]:
    """Render and install the chart for all teams; pods run on nodes that are simulated."""
    values = merged(LEAST, {"teams": {f"team_{number:03}": None for number in range(place.size.teams)}})
    with helm.Chart.load(CHART) as loaded, spent() as cpu:
        texts = loaded.render(values, name=RELEASE, namespace=NAMESPACE)
    found = [one for path, text in texts.items() if path.endswith(".yaml") for one in text.split("\n---")]
    largest = max(found, key=len)
    kind = yaml.safe_load(largest)
    of = f"{len([one for one in found if 'kind:' in one]):,} objects, {sum(map(len, found)) / 1e6:.1f} MB"
    yield Figure("chart: rendered", cpu[0], "CPU s", of)
    yield Figure(
        "chart: the largest object", len(largest), "B", f"{kind['kind']} {kind['metadata']['name']}", MOST_BYTES
    )
    yield from _installed(place, values)


def _installed(place: Place, values: dict[str, Any]) -> Iterator[Figure]:
    from kubernetes import client

    core = client.CoreV1Api(place.api)
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    began = time.monotonic()
    with helm.Config(kubeconfig_path=place.cluster.kubeconfig, namespace=NAMESPACE) as config:
        config.install(CHART, RELEASE, values)
    seconds = time.monotonic() - began
    secrets = core.list_namespaced_secret(NAMESPACE, label_selector="owner=helm").items
    size = max(len(base64.b64decode(one.data["release"])) for one in secrets)
    yield Figure("chart: installed", seconds, "s", "until Helm has sent everything")
    yield Figure("chart: the release's Secret", size, "B", "what Helm keeps of a release", MOST_BYTES)
    apps = client.AppsV1Api(place.api)

    def lacking() -> int:
        found = apps.list_deployment_for_all_namespaces(label_selector=f"app.kubernetes.io/instance={RELEASE}").items
        return sum((one.status.available_replicas or 0) < one.spec.replicas for one in found)

    while (left := lacking()) and time.monotonic() < began + PATIENCE_SECONDS:
        time.sleep(1)
    if left:
        raise TimeoutError(f"{left} Deployments are not available after {PATIENCE_SECONDS} s")
    yield Figure(
        "chart: all available", time.monotonic() - began, "s", "scheduled on simulated nodes, said to be ready"
    )


def mirror(place: Place) -> Iterator[Figure]:
    """Show a ledger with all models, then rest."""
    home = portal_home(place.folder / "home", place.size.models)
    link = Link(PlainSignIn(place.cluster.kubeconfig))
    place.calls.sign(link.api)
    namespace = "mirrored"
    _namespace(place, namespace)
    showing = Mirror(home.platform.ledger, link, namespace, Budget(ENOUGH_CALLS))
    with place.calls.counted() as calls, spent() as cpu:
        showing.round()
    shown = sum(1 for _ in objects(home.platform.ledger, namespace))
    yield Figure("mirror: everything shown", calls[0], "calls", f"{shown:,} objects, {cpu[0]:.1f} CPU s")
    with place.calls.counted() as calls, spent() as cpu:
        rounds = _rounds(showing, place.size.rest_seconds)
    minutes = place.size.rest_seconds / 60
    yield Figure("mirror: calls at rest", calls[0] / minutes, "a minute", f"{rounds} rounds", 10)
    of = f"{psutil.Process().memory_info().rss / 2**20:.0f} MB of this process"
    yield Figure("mirror: after a change", 100 * cpu[0] / place.size.rest_seconds, "% of a core", of)
    time.sleep(max(0.0, SETTLED_SECONDS - place.size.rest_seconds))
    showing.round()
    with spent() as cpu:
        _rounds(showing, place.size.rest_seconds / 2)
    yield Figure("mirror: at rest", 200 * cpu[0] / place.size.rest_seconds, "% of a core", "a minute later", 2)
    link.close()
    home.platform.close()


def _rounds(showing: Mirror, seconds: float) -> int:
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        showing.round()
        count += 1
        time.sleep(5)
    return count


def _namespace(place: Place, name: str) -> None:
    from kubernetes import client

    client.CoreV1Api(place.api).create_namespace({"metadata": {"name": name}})


def training(place: Place) -> Iterator[Figure]:
    """Run Jobs at once."""
    _namespace(place, "training")
    compute = KubernetesCompute(
        kubeconfig=place.cluster.kubeconfig, namespace="training", image="r.test/loopline", claims={}
    )
    place.calls.sign(compute._linked().api)  # noqa: SLF001
    arguments = {"folder": "/tmp", "value": 7}

    def one(number: int) -> float:
        began = time.monotonic()
        compute.run(ECHO, arguments, REQUIREMENTS, f"scale-{number}")
        return time.monotonic() - began

    with place.calls.counted() as first, spent() as alone:
        one(-1)
    with place.calls.counted() as calls, spent() as cpu, ThreadPoolExecutor(place.size.jobs) as pool:
        took = list(pool.map(one, range(place.size.jobs)))
    of = f"{cpu[0] / place.size.jobs * 1e3:.0f} CPU ms a Job, which took {median(took):.0f} s"
    yield Figure("training: calls", calls[0] / place.size.jobs, "a Job", of, 20)
    of = f"{alone[0] * 1e3:.0f} CPU ms: all nodes are listed once a minute"
    yield Figure("training: the first Job of a process", first[0], "calls", of)
    compute.close()


def endpoints(place: Place) -> Iterator[Figure]:
    """Deploy models, each to pods of its own, and look at them while no server tells of itself."""
    _namespace(place, "serving")
    folder = place.folder / "store"
    folder.mkdir()
    store = S3Server(folder)
    store.start()
    serving = KubernetesServing(
        store=f"{store.place()}/serving",
        storage_options=store.options,
        image="r.test/loopline",
        namespace="serving",
        kubeconfig=place.cluster.kubeconfig,
        replicas=2,
    )
    place.calls.sign(serving._linked().api)  # noqa: SLF001
    package = write_package(place.folder / "package", Constant(0.5))
    models = [f"team-{number % place.size.teams:03}.model_{number:04}" for number in range(place.size.deployed)]
    with place.calls.counted() as calls, spent() as cpu:
        for model in models:
            serving.apply(DesiredState(model, 1, Served("1", package, "cycle")))
    of = f"{cpu[0] / len(models) * 1e3:.0f} CPU ms each"
    yield Figure("deployed: calls", calls[0] / len(models), "a model", of, 6)
    with place.calls.counted() as calls, spent() as cpu:
        rounds = _looked(serving, models, place.size.rest_seconds)
    rate = calls[0] / (place.size.rest_seconds / 60) / len(models)
    of = f"{rounds} looks at each, {cpu[0] / rounds / len(models) * 1e3:.1f} CPU ms a look"
    yield Figure("silent endpoints: calls", rate, "a minute and model", of, 10)
    serving.close()
    store.kill()


def _looked(serving: KubernetesServing, models: list[str], seconds: float) -> int:
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        began = time.monotonic()
        for model in models:
            serving.observe(model)
        rounds += 1
        time.sleep(max(0.0, 3 - time.monotonic() + began))
    return rounds


def looks(place: Place) -> Iterator[Figure]:
    """Ask the ledger what the sensors of a team ask it at each look."""
    home = portal_home(place.folder / "looked-at", place.size.models)
    ledger = home.platform.ledger
    refs = [ModelRef("team_1", f"model_{number:04d}") for number in range(1, 51, 10)]

    def look() -> None:
        for ref in refs:
            deployments.deployment(ledger, ref)
        [one for one in rollouts.looked_after(ledger) if one.ref.team == "team_1"]
        [one for one in cycles.open_cycles(ledger) if one.ref.team == "team_1"]
        list(deployments.unfinished(ledger, "team_1"))

    look()
    with spent() as cpu:
        for _ in range(20):
            look()
    each = cpu[0] / 20
    of = f"{place.size.teams} teams each 3 s are {100 * each * place.size.teams / 3:.0f} % of a core"
    yield Figure("a team's look: the ledger", each * 1e3, "CPU ms", of)
    home.platform.close()
