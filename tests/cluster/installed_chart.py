"""The chart on the tests' Kubernetes, as its page says, with real servers outside for what pods share.

One installation for all tests of a session: the walk, then the upgrade. Its teams are retail, whose package is in the
platform's image, and kiln, which has an image of its own; each has a claim on which files arrive.
"""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import yaml

from scripts.cluster import images
from tests.cluster.kubernetes_cluster import WEB_PORT
from tests.cluster.let_in import let_in
from tests.mlflow_server import mlflow_server
from tests.s3_server import KEY, SECRET, S3Server

if TYPE_CHECKING:
    from kubernetes import client

NAMESPACE, RELEASE, TEAM = "mlops", "loopline", "kiln"
LANDING = "/var/lib/loopline/landing"
"""Where a team's pod finds what arrives."""
READY_SECONDS = 600
T = TypeVar("T")
DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "loopline"
GATEWAY = "gateways/public"
_POSTGRESQL, _REDIS, _STORE, _MLFLOW = 5432, 6379, 8334, 5000
"""Ports of the node that lead to servers outside."""
POD_NETWORK = ["198.18.0.0/15"]
"""Pods, Services and the node, by whose address servers outside are reached."""
REACHED = {
    "stores": {name: {"cidrs": POD_NETWORK} for name in ("postgresql", "redis", "objectStore", "mlflow")},
    "networkPolicy": {"apiServer": {"cidrs": POD_NETWORK}},
}
"""What the chart is told of where things are on the tests' cluster."""
_FITTED = {
    "  serving:\n": "  serving:\n    cpu: 0.1\n    memory_gb: 0.6\n",
    'url: "${LOOPLINE_REDIS}"': 'url: "${LOOPLINE_REDIS}", timeout_seconds: 10',
}


@dataclass(frozen=True)
class Outside:
    """What runs outside of the cluster: variables of the Secret by which pods reach it, and how tests do."""

    secret: dict[str, str]
    ledger: str
    store: S3Server


@dataclass(frozen=True)
class Installation:
    """A release whose every part is ready: what runs beside it, where files arrive, the web server's address."""

    helm: Any
    release: dict[str, Any]
    outside: Outside
    landing: Path
    web: str


def values(*more: dict[str, Any]) -> dict[str, Any]:
    """Return what somebody writes who installs it here, over the profile for a laptop's cluster."""
    repository, _, tag = images.RELEASED.partition(":")
    own, _, own_tag = images.image_of(TEAM).partition(":")
    return merged(
        yaml.safe_load(CHART.joinpath("values-laptop-cluster.yaml").read_text()),
        REACHED,
        {
            "image": {"repository": repository, "tag": tag},
            "teams": {
                "retail": {"claims": {"landing": LANDING}},
                TEAM: {
                    "image": {"repository": own, "tag": own_tag},
                    "claims": {"landing": LANDING},
                },
            },
            "stores": {"objectStore": {"ports": [_STORE]}},
            "webserver": {"replicas": 2},
            "daemon": {"replicas": 2},
            "environment": {"text": environment(), "variables": {"LOOPLINE_GATEWAY": GATEWAY}},
        },
        *more,
    )


def environment() -> str:
    """Return the shipped environment file, with endpoints that fit a machine of two cores twice, and are patient."""
    found = DEPLOY.joinpath("environments", "kubernetes.yaml").read_text()
    for shipped, here in _FITTED.items():
        assert shipped in found
        found = found.replace(shipped, here)
    return found


def merged(*given: dict[str, Any]) -> dict[str, Any]:
    """Lay values over one another, the later ones on top."""
    found: dict[str, Any] = {}
    for one in given:
        for key, value in one.items():
            is_deeper = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if is_deeper else value
    return found


@pytest.fixture(scope="session")
def store_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run an S3 server for as long as the cluster runs."""
    server = S3Server(tmp_path_factory.mktemp("s3-outside"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def outside(
    cluster: Any,
    postgresql: str,
    redis_server: Any,
    store_outside: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outside]:
    """Let pods reach real servers."""
    import psycopg2

    with ExitStack() as doors:
        database = doors.enter_context(let_in(cluster, _POSTGRESQL, f"{postgresql}/.s.PGSQL.5432"))
        redis = doors.enter_context(let_in(cluster, _REDIS, redis_server.port))
        store = doors.enter_context(let_in(cluster, _STORE, int(store_outside.url.rpartition(":")[2])))
        registry = doors.enter_context(mlflow_server(tmp_path_factory.mktemp("mlflow")))
        registry = doors.enter_context(let_in(cluster, _MLFLOW, registry))
        connection = psycopg2.connect(host=postgresql, user="loopline", dbname="postgres")
        connection.autocommit = True
        for name in ("chart_dagster", "chart_ledger"):
            connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        secret = {
            "LOOPLINE_DAGSTER_STORAGE": f"postgresql://loopline@{database}/chart_dagster",
            "LOOPLINE_LEDGER": f"postgresql+psycopg2://loopline@{database}/chart_ledger",
            "LOOPLINE_STORE": f"s3://{store_outside.place().partition('://')[2]}",
            "LOOPLINE_REDIS": f"redis://{redis}/3",
            "LOOPLINE_MLFLOW": f"http://{registry}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{store}",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        yield Outside(secret, f"postgresql+psycopg2://loopline@/chart_ledger?host={postgresql}", store_outside)


@pytest.fixture(scope="session")
def installation(
    cluster: Any,
    outside: Outside,
    kubernetes_api: client.ApiClient,
    kubernetes_core: client.CoreV1Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """Install the chart as an older version of it, as somebody would who follows the page; wait until all is ready."""
    import helm_python as helm

    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubernetes_core.create_namespace({"metadata": {"name": NAMESPACE, "labels": restricted}})
    older = tmp_path_factory.mktemp("older") / "loopline"
    shutil.copytree(CHART, older)
    chart = older / "Chart.yaml"
    chart.write_text(chart.read_text().replace("version: 0.1.0", "version: 0.0.9"))
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=NAMESPACE) as signed_in:
        release = signed_in.install(older, RELEASE, values())
        for namespace in (NAMESPACE, f"{NAMESPACE}-retail", f"{NAMESPACE}-{TEAM}", f"{NAMESPACE}-serving"):
            stores = {"metadata": {"name": "loopline-stores"}, "stringData": outside.secret}
            kubernetes_core.create_namespaced_secret(namespace, stores)
        landing = tmp_path_factory.getbasetemp() / "landing"
        for team in ("retail", TEAM):
            _claim(kubernetes_core, f"{NAMESPACE}-{team}", landing)
        wait_until_ready(kubernetes_api)
        yield Installation(signed_in, release, outside, landing, _web(kubernetes_core, cluster.ports[str(WEB_PORT)]))


def _claim(core: client.CoreV1Api, namespace: str, folder: Path) -> None:
    """Make the claim on which files arrive: a folder of this machine that pods may read."""
    folder.mkdir(exist_ok=True)
    for one in (folder.parent, folder):
        one.chmod(0o755)
    sized = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    size = {"storage": "1Gi"}
    volume = {
        **sized,
        "capacity": size,
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": namespace, "name": "landing"},
    }
    core.create_persistent_volume({"metadata": {"name": f"landing-{namespace}"}, "spec": volume})
    claim = {**sized, "volumeName": f"landing-{namespace}", "resources": {"requests": size}}
    core.create_namespaced_persistent_volume_claim(namespace, {"metadata": {"name": "landing"}, "spec": claim})


def _web(core: client.CoreV1Api, port: int) -> str:
    """Let the web server's Service be reached from outside, and give its address once the node knows it."""
    labels = {"app.kubernetes.io/name": "webserver", "app.kubernetes.io/instance": RELEASE}
    spec = {"type": "NodePort", "selector": labels, "ports": [{"port": 3000, "nodePort": WEB_PORT}]}
    core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "outside"}, "spec": spec})
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/server_info", timeout=30).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.5)  # between two looks
        else:
            return url


def wait_until_ready(api: client.ApiClient) -> None:
    """Wait until every Deployment of the release has what it wants, of its newest form."""
    from kubernetes import client

    apps, end = client.AppsV1Api(api), time.monotonic() + READY_SECONDS
    selector = f"app.kubernetes.io/instance={RELEASE}"
    while waiting := [
        one for one in apps.list_deployment_for_all_namespaces(label_selector=selector).items if _lacks(one)
    ]:
        if time.monotonic() > end:
            names = [one.metadata.name for one in waiting]
            pytest.fail(f"not ready: {names}: {shown(client.CoreV1Api(api))}")
        time.sleep(1)  # between two looks


def _lacks(deployment: Any) -> bool:
    """Say whether a Deployment has not what it wants yet."""
    status, wanted = deployment.status, deployment.spec.replicas
    is_new = (status.observed_generation or 0) >= deployment.metadata.generation
    return not is_new or not (status.available_replicas == status.updated_replicas == status.replicas == wanted)


def shown(core: client.CoreV1Api, lines: int = 20) -> str:
    """Tell what pods of the installation's namespaces show: states, and the ends of their logs."""
    found = []
    for pod in core.list_pod_for_all_namespaces().items:
        if not pod.metadata.namespace.startswith(NAMESPACE):
            continue
        for status in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
            state = str(status.state).replace("\n", " ")
            name = f"{pod.metadata.namespace}/{pod.metadata.name} {status.name}"
            found.append(f"{name}: ready {status.ready}, restarts {status.restart_count}, {state}")
            found.append(_log(core, pod, status.name, lines))
    return "\n".join(found)


def _log(core: client.CoreV1Api, pod: Any, container: str, lines: int) -> str:
    from kubernetes import client

    try:
        where = {"container": container, "tail_lines": lines}
        return str(core.read_namespaced_pod_log(pod.metadata.name, pod.metadata.namespace, **where))
    except client.ApiException as error:
        return str(error.reason)


def until(ready: Callable[[], T | None], what: str, seconds: float, core: client.CoreV1Api) -> T:
    """Wait for something and return it; fails with what the pods show. What cannot be asked is asked again."""
    from loopline.platform_core.errors import LooplineError

    end, said = time.monotonic() + seconds, ""
    while True:
        try:
            if found := ready():
                return found
        except LooplineError as error:
            said = str(error)
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come in {seconds:.0f} s; {said}\n{shown(core)}")
        time.sleep(0.2)  # between two looks
