"""Endpoints in pods of the tests' Kubernetes: a real object store on its node, and servings bound to it."""

from __future__ import annotations

import http.client
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from kubernetes import client

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.testing.parts.endpoints import new_model, served
from loopline.resources.kubernetes.endpoint_manifests import labels
from loopline.resources.kubernetes.pod_serving import PodServing
from scripts.cluster import images
from scripts.cluster.outside import Cluster
from scripts.cluster.python_layer import interpreter
from scripts.cluster.settings import NODE_ADDRESS
from tests.cluster.kubernetes_cluster import GRPC_PORT, HTTP_PORT, OBJECT_STORE_PORT
from tests.s3_server import KEY, SECRET, VARIABLE

NUMBERS = count(1)
BUCKET = "loopline"
START_SECONDS = 150
Bind = Callable[..., PodServing]


def storage(url: str) -> dict[str, str]:
    """Return how a client reaches the object store at a URL."""
    return {
        "aws_endpoint": url,
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
    }


def storage_in_file() -> dict[str, str]:
    """Return how a pod reaches the object store by its environment file; its variable is ``VARIABLE``."""
    return storage(f"http://{NODE_ADDRESS}:{OBJECT_STORE_PORT}") | {"aws_secret_access_key": f"${{{VARIABLE}}}"}


@pytest.fixture(scope="module")
def object_store(cluster: Cluster, kubernetes_core: client.CoreV1Api) -> Iterator[dict[str, str]]:
    """Run a real S3 server on the node; gives how it is reached from outside."""
    with store_on_node(cluster, kubernetes_core) as outside:
        yield outside


@contextmanager
def store_on_node(cluster: Cluster, core: client.CoreV1Api) -> Iterator[dict[str, str]]:
    """Run a real S3 server on the node; gives how it is reached from outside."""
    identity = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    config = {"identities.json": json.dumps({"identities": [identity]})}
    core.create_namespaced_config_map("default", {"metadata": {"name": "weed"}, "data": config})
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
    core.create_namespaced_pod("default", pod)
    outside = storage(f"http://127.0.0.1:{cluster.ports[str(OBJECT_STORE_PORT)]}")
    _wait_for_store(outside)
    yield outside
    core.delete_namespaced_pod("weed", "default", grace_period_seconds=0)
    core.delete_namespaced_config_map("weed", "default")


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
            time.sleep(0.5)  # between two looks
        else:
            return


@pytest.fixture(scope="module")
def bind_pods(
    cluster: Cluster, object_store: dict[str, str], team_namespace: str, kubernetes_core: client.CoreV1Api
) -> Bind:
    """Bind a vendor by its name, with a prefix of its own; pods reach the store from inside, the caller from outside.

    ``outside`` are settings that pods do not have.
    """

    def make(vendor: str, kind: type[PodServing], outside: dict[str, object], **settings: object) -> PodServing:
        beyond = {**outside, "storage_options": object_store, "kubeconfig": cluster.kubeconfig}
        return bound(kubernetes_core, team_namespace, vendor, kind, beyond, **settings)

    return make


def bound(
    core: client.CoreV1Api,
    namespace: str,
    vendor: str,
    kind: type[PodServing],
    outside: dict[str, object],
    **settings: object,
) -> PodServing:
    """Bind a vendor in a namespace, with a prefix of its own; ``outside`` are settings that pods do not have."""
    name = f"environment-{next(NUMBERS)}"
    common = {
        "store": f"s3://{BUCKET}/{name}",
        "image": images.NAME,
        "image_pull_policy": "Never",
        "python": str(interpreter()),
        "namespace": namespace,
        "environment_map": name,
        "endpoint_group": name,
        "replicas": 1,
        "cpu": 0.1,
        "memory_gb": 0.5,
        "env": {VARIABLE: SECRET},
        **settings,
    }
    inside = {"vendor": vendor, **common, "storage_options": storage_in_file()}
    online = {"vendor": "sqlite", "path": "/tmp/online.db"}
    file = json.dumps({"name": "pods", "bindings": {"serving": inside, "online_store": online}})
    core.create_namespaced_config_map(namespace, {"metadata": {"name": name}, "data": {"environment.yaml": file}})
    return kind(**{**common, **outside})


def reached(cluster: Cluster) -> dict[str, object]:
    """Return how the ports of the node are reached that ``expose`` opens."""
    return {
        "address": f"http://127.0.0.1:{cluster.ports[str(HTTP_PORT)]}",
        "grpc_address": f"127.0.0.1:{cluster.ports[str(GRPC_PORT)]}",
    }


def expose(core: client.CoreV1Api, namespace: str, group: str, name: str = "outside") -> None:
    """Open ports of the node that lead to a group's pods, once a namespace that goes has let them free."""
    ports = [
        {"name": "http", "port": 8080, "targetPort": "http", "nodePort": HTTP_PORT},
        {"name": "grpc", "port": 8081, "targetPort": "grpc", "nodePort": GRPC_PORT},
    ]
    spec = {"type": "NodePort", "selector": labels(group), "ports": ports}
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            core.create_namespaced_service(namespace, {"metadata": {"name": name}, "spec": spec})
        except client.ApiException as error:
            if "already allocated" not in str(error.body) or time.monotonic() > end:
                raise
            time.sleep(0.5)  # between two looks
        else:
            return


def signed_in(core: client.CoreV1Api, cluster: Cluster, namespace: str, account: str, file: Path) -> Path:
    """Write a kubeconfig that signs in as a service account, and return it."""
    asked = {"spec": {"expirationSeconds": 3600}}
    token = core.create_namespaced_service_account_token(account, namespace, asked).status.token
    document = json.loads(cluster.kubeconfig.read_text())
    document["users"] = [{"name": user["name"], "user": {"token": token}} for user in document["users"]]
    file.write_text(json.dumps(document))
    return file


def start(serving: PodServing, core: client.CoreV1Api, folder: Path) -> None:
    """Deploy a first model and wait until pods answer for it from outside; fails with what they show."""
    model, end = new_model(), time.monotonic() + START_SECONDS
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    while not (seen := serving.observe(model)).ready or not _is_reached(serving):
        if time.monotonic() > end:
            pytest.fail(f"{seen}\n{shown(serving, core)}")
        time.sleep(0.5)  # between two looks


def _is_reached(serving: PodServing) -> bool:
    """Say whether the node's port leads to a pod yet: kubelet and proxy hear of it later than the states."""
    try:
        urllib.request.urlopen(f"{serving.address}/v2/health/ready", timeout=10).close()
    except (OSError, http.client.HTTPException):
        return False
    return True


def told(serving: PodServing, folder: Path, words: str) -> str:
    """Deploy a model, and return what its endpoint says is wrong, once that holds the words."""
    model, end = new_model(), time.monotonic() + START_SECONDS
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    while words not in (problem := serving.observe(model).problem) and time.monotonic() < end:
        time.sleep(0.5)  # between two looks
    return problem


def shown(serving: PodServing, core: client.CoreV1Api) -> str:
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
