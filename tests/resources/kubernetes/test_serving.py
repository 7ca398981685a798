"""Endpoints as pods of a real cluster: the kit, and what pods and nodes do to requests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from kubernetes import client

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import Refused
from loopline.platform_core.testing.endpoints import ask_over_http, come_to, logged_after, new_model, served
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.kubernetes.endpoint_manifests import labels
from loopline.resources.kubernetes.serving import KubernetesServing
from scripts.cluster import images
from scripts.cluster.outside import Cluster
from scripts.cluster.python_layer import interpreter
from scripts.cluster.settings import NODE_ADDRESS
from tests.cluster.kubernetes_cluster import GRPC_PORT, HTTP_PORT, OBJECT_STORE_PORT
from tests.s3_server import KEY, SECRET

pytestmark = pytest.mark.cluster
NUMBERS = count(1)
BUCKET = "loopline"
START_SECONDS = 150


def storage(url: str) -> dict[str, str]:
    """Return how a client reaches the object store at a URL."""
    return {
        "aws_endpoint": url,
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
    }


@pytest.fixture(scope="module")
def object_store(cluster: Cluster, kubernetes_core: client.CoreV1Api) -> Iterator[dict[str, str]]:
    """Run a real S3 server on the node; gives how it is reached from outside."""
    identity = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    config = {"identities.json": json.dumps({"identities": [identity]})}
    kubernetes_core.create_namespaced_config_map("default", {"metadata": {"name": "weed"}, "data": config})
    command = ["/weed/weed", "server", f"-ip={NODE_ADDRESS}", "-ip.bind=0.0.0.0", "-dir=/data", "-s3"]
    command += [
        f"-s3.port={OBJECT_STORE_PORT}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.config=/config/identities.json",
    ]
    command += ["-volume.max=100", "-master.volumeSizeLimitMB=64"]
    mounts = {"weed": "/weed", "data": "/data", "config": "/config", "scratch": "/tmp"}
    container = {
        "name": "weed",
        "image": images.NAME,
        "imagePullPolicy": "Never",
        "command": command,
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }
    volumes = [
        {"name": "weed", "hostPath": {"path": str(Path(sys.executable).parent)}},
        {"name": "data", "emptyDir": {}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "config", "configMap": {"name": "weed"}},
    ]
    pod = {"metadata": {"name": "weed"}, "spec": {"hostNetwork": True, "containers": [container], "volumes": volumes}}
    kubernetes_core.create_namespaced_pod("default", pod)
    outside = storage(f"http://127.0.0.1:{cluster.ports[str(OBJECT_STORE_PORT)]}")
    _wait_for_store(outside)
    yield outside
    kubernetes_core.delete_namespaced_pod("weed", "default", grace_period_seconds=0)


def _wait_for_store(options: dict[str, str]) -> None:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    end = time.monotonic() + 120
    while True:
        try:
            S3Store(BUCKET, config=options, client_options={"allow_http": True}).put("begun", b"1")
        except (BaseError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        else:
            return


@pytest.fixture(scope="module")
def bind(
    cluster: Cluster, object_store: dict[str, str], team_namespace: str, kubernetes_core: client.CoreV1Api
) -> Callable[..., KubernetesServing]:
    """Bind a serving of a prefix of its own; pods reach the store from inside, whoever deploys from outside."""

    def make(**settings: object) -> KubernetesServing:
        name = f"environment-{next(NUMBERS)}"
        common = {
            "store": f"s3://{BUCKET}/{name}",
            "image": images.NAME,
            "image_pull_policy": "Never",
            "python": str(interpreter()),
            "namespace": team_namespace,
            "environment_map": name,
            "endpoint_group": name,
            "replicas": 1,
            "cpu": 0.1,
            "memory_gb": 0.5,
            "env": {"SSL_CERT_FILE": f"{images.SITE}/certifi/cacert.pem"},  # this image has no system beside Python
            **settings,
        }
        inside = {
            "vendor": "kubernetes",
            **common,
            "storage_options": storage(f"http://{NODE_ADDRESS}:{OBJECT_STORE_PORT}"),
        }
        online = {"vendor": "sqlite", "path": "/tmp/online.db"}
        file = json.dumps({"name": "pods", "bindings": {"serving": inside, "online_store": online}})
        kubernetes_core.create_namespaced_config_map(
            team_namespace, {"metadata": {"name": name}, "data": {"environment.yaml": file}}
        )
        return KubernetesServing(
            **common,
            storage_options=object_store,
            kubeconfig=cluster.kubeconfig,
            address=f"http://127.0.0.1:{cluster.ports[str(HTTP_PORT)]}",
            grpc_address=f"127.0.0.1:{cluster.ports[str(GRPC_PORT)]}",
        )

    return make


@pytest.fixture(scope="module")
def shared(
    bind: Callable[..., KubernetesServing],
    kubernetes_core: client.CoreV1Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> KubernetesServing:
    """Give an endpoint group of all tests' models, which callers outside reach by ports of the node."""
    serving = bind(endpoint_group="kit", replicas=2)
    ports = [
        {"name": "http", "port": 8080, "targetPort": "http", "nodePort": HTTP_PORT},
        {"name": "grpc", "port": 8081, "targetPort": "grpc", "nodePort": GRPC_PORT},
    ]
    spec = {"type": "NodePort", "selector": labels("kit"), "ports": ports}
    kubernetes_core.create_namespaced_service(serving.namespace, {"metadata": {"name": "outside"}, "spec": spec})
    start(serving, kubernetes_core, tmp_path_factory.mktemp("first"))
    return serving


def start(serving: KubernetesServing, core: client.CoreV1Api, folder: Path) -> None:
    """Deploy a first model and wait until pods answer for it; fails with what they show."""
    model, end = new_model(), time.monotonic() + START_SECONDS
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    while not (seen := serving.observe(model)).ready:
        if time.monotonic() > end:
            pytest.fail(f"{seen}\n{shown(serving, core)}")
        time.sleep(0.5)


def shown(serving: KubernetesServing, core: client.CoreV1Api) -> str:
    """Return what the pods of a namespace show: states, events and the ends of their logs."""
    found = [f"{event.reason}: {event.message}" for event in core.list_namespaced_event(serving.namespace).items]
    for pod in core.list_namespaced_pod(serving.namespace).items:
        for status in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
            name = f"{pod.metadata.name} {status.name}"
            found.append(f"{name}: {status.state}")
            try:
                log = core.read_namespaced_pod_log(pod.metadata.name, serving.namespace, container=status.name)
                found.append(f"{name}: {log[-1500:]}")
            except client.ApiException as error:
                found.append(f"{name}: {error.reason}")
    return "\n".join(found)


class TestKubernetesServing(ServingKit):
    @pytest.fixture
    def serving(self, shared: KubernetesServing) -> KubernetesServing:
        """The vendor outside of the cluster, with two pods behind a Service."""
        return shared


def test_a_pod_that_is_killed_loses_no_request_and_no_record(
    shared: KubernetesServing, kubernetes_core: client.CoreV1Api, tmp_path: Path
) -> None:
    """Pods are deleted one after the other while callers ask: every answer is there, and every answer is logged."""
    model = new_model()
    come_to(shared, DesiredState(model, 1, served(tmp_path, "1")))
    selector = ",".join(f"{name}={value}" for name, value in labels("kit").items())
    pods = kubernetes_core.list_namespaced_pod(shared.namespace, label_selector=selector).items
    before = {pod.metadata.name for pod in pods}
    answers = []
    for name in sorted(before):
        kubernetes_core.delete_namespaced_pod(name, shared.namespace)
        answers += [ask_over_http(shared, model, f"key-{n}", 1.0) for n in range(100)]
        assert wait_until_settled(shared, model)
    assert {(answer.status, answer.version) for answer in answers} == {(200, "1")}
    rows = logged_after(shared, model, None, len(answers))[0]
    assert sorted(rows["request_id"].to_pylist()) == sorted(answer.request_id for answer in answers)


def wait_until_settled(serving: KubernetesServing, model: str) -> bool:
    """Wait until every server that is known is ready."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if serving.observe(model).ready and len(serving.states.observed(model)) == serving.replicas:
            return True
        time.sleep(0.5)
    return False


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cpu": 1000}, "Insufficient cpu"),
        ({"image": "loopline.local/nothing:1"}, "ErrImageNeverPull"),
        ({"environment_map": "nowhere"}, "nowhere"),
    ],
)
def test_what_keeps_pods_from_starting_is_told(
    bind: Callable[..., KubernetesServing], settings: dict[str, object], words: str, tmp_path: Path
) -> None:
    """In the words of whoever said so: scheduler or kubelet."""
    serving, model = bind(**settings), new_model()
    serving.apply(DesiredState(model, 1, served(tmp_path, "1")))
    end = time.monotonic() + START_SECONDS
    while words not in (problem := serving.observe(model).problem) and time.monotonic() < end:
        time.sleep(0.5)
    assert words in problem


def test_what_the_cluster_does_not_take_is_refused(bind: Callable[..., KubernetesServing], tmp_path: Path) -> None:
    """A namespace that is not there, and routes where nobody installed the Gateway API."""
    state = DesiredState(new_model(), 1, served(tmp_path, "1"))
    elsewhere = bind().model_copy(update={"namespace": "nowhere"})
    with pytest.raises(Refused, match='namespaces "nowhere" not found'):
        elsewhere.apply(state)
    with pytest.raises(Refused, match="install the Gateway API"):
        bind(http_gateway="gateways/public", replicas=0).apply(state)


def test_each_group_has_servers_and_states_of_its_own(
    bind: Callable[..., KubernetesServing], kubernetes_api: client.ApiClient, tmp_path: Path
) -> None:
    """By team here; two models of a team share a Deployment, and what is asked of one group no other one sees."""
    serving = bind(endpoint_group="{team}", replicas=0)
    for model in ("north.one", "north.two", "south.one"):
        serving.apply(DesiredState(model, 1, served(tmp_path, "1")))
    found = client.AppsV1Api(kubernetes_api).list_namespaced_deployment(serving.namespace).items
    names = {one.metadata.name for one in found}
    assert {"loopline-north", "loopline-south"} <= names
    assert serving.endpoint("north.two") == serving.endpoint("north.one").replace("north.one", "north.two")
    wanted = serving.states.wanted("south.one")
    assert wanted is not None
    assert wanted.generation == 1
