"""Executors as pods of a real Kubernetes, asked from a pod with the rights of the chart for a code location."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from scripts.cluster import node, spark_image
from scripts.cluster.outside import Cluster
from scripts.cluster.python_layer import interpreter
from scripts.cluster.settings import NODE_ADDRESS, Place
from tests.cluster import chart_policies
from tests.cluster.endpoints_in_pods import BUCKET, object_store, storage  # noqa: F401 - a fixture
from tests.cluster.installed_chart import REACHED
from tests.cluster.kubernetes_cluster import OBJECT_STORE_PORT, images_built, images_folder
from tests.deploy.helm_chart import EVERYTHING, LEAST, merged, objects, of_kind

pytestmark = pytest.mark.timeout(3000)
NUMBERS = count(1)
LIMIT_SECONDS = 900
LITTLE = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
SMALL = {
    "spark.executor.extraJavaOptions": LITTLE,
    "spark.driver.extraJavaOptions": LITTLE,
    "spark.driver.memory": "600m",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.kubernetes.executor.enableApiWatcher": "false",  # this cluster's etcd knows no progress of a watch
    "spark.kubernetes.executor.apiPollingInterval": "2s",
    "spark.kubernetes.executor.request.cores": "100m",  # the node is this machine, which others use
}
Ask = Callable[..., str]


@pytest.fixture(scope="module")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bring the image with Spark and Java to the node."""
    base = tmp_path_factory.getbasetemp()
    archive = spark_image.spark_image(images_folder(base), images_built(base))
    node.import_image(Place(cluster.folder, ""), archive)
    archive.unlink()
    return spark_image.NAME


@pytest.fixture(scope="module")
def namespace(kubernetes_api: Any, kubernetes_core: Any, team_namespace: str) -> str:
    """Give the team's code location an account with the rights of the chart, and its namespace the chart's policies."""
    kubernetes_core.create_namespaced_service_account(team_namespace, {"metadata": {"name": "code"}})
    kubernetes_core.create_namespaced_service_account(team_namespace, {"metadata": {"name": "nobody"}})
    rules = of_kind(objects(EVERYTHING), "Role", "mlops-ad-tech")["loopline-spark"]["rules"]
    rbac = client.RbacAuthorizationV1Api(kubernetes_api)
    rbac.create_namespaced_role(team_namespace, {"metadata": {"name": "spark"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "code", "namespace": team_namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "spark"}
    binding = {"metadata": {"name": "spark"}, "subjects": [subject], "roleRef": role}
    rbac.create_namespaced_role_binding(team_namespace, binding)
    team = {"namespace": team_namespace, "spark": {"enabled": True}}
    stores = {"objectStore": {"ports": [OBJECT_STORE_PORT]}}
    values = merged({**LEAST, "teams": {"team": team}}, REACHED, {"stores": stores})
    chart_policies.write(kubernetes_api, values, [team_namespace])
    return team_namespace


@pytest.fixture
def ask(kubernetes_core: Any, namespace: str, image: str, object_store: Any) -> Iterator[Ask]:  # noqa: F811
    """Start a pod that asks Spark; gives its name."""
    names = []

    def start(account: str = "code", wait_seconds: float = 400, **pods: Any) -> str:
        place = f"s3://{BUCKET}/spark-{next(NUMBERS)}"
        engine = {
            "master": "k8s://https://kubernetes.default.svc",
            "python": str(interpreter()),
            "options": SMALL,
            "wait_seconds": wait_seconds,
            "staging": place,
            "storage_options": storage(f"http://{NODE_ADDRESS}:{OBJECT_STORE_PORT}"),
            "staged_above_mb": 0,
            "pods": {"image": image, "image_pull_policy": "Never", "namespace": namespace, "memory_gb": 1.4, **pods},
        }
        names.append(f"asks-{next(NUMBERS)}")
        kubernetes_core.create_namespaced_pod(namespace, _pod(names[-1], image, account, engine))
        return names[-1]

    yield start
    for name in names:
        with suppress(client.ApiException):  # a test has deleted it
            kubernetes_core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    until(lambda: not executors(kubernetes_core, namespace), "executors go with the pod that asked for them")


def _pod(name: str, image: str, account: str, engine: dict[str, Any]) -> dict[str, Any]:
    source = Path(__file__).with_name("driver_in_pod.py").read_text()
    container = {
        "name": "code",
        "image": image,
        "imagePullPolicy": "Never",
        "command": [str(interpreter()), "-c", source],
        "env": [{"name": "ENGINE", "value": json.dumps(engine)}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "serviceAccountName": account,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    ours = {"app.kubernetes.io/part-of": "loopline", "app.kubernetes.io/instance": "loopline"}
    return {"metadata": {"name": name, "labels": ours}, "spec": spec}


def executors(core: Any, namespace: str) -> list[Any]:
    """Return the executors' pods."""
    return list(core.list_namespaced_pod(namespace, label_selector="spark-role=executor").items)


def running(core: Any, namespace: str) -> list[Any]:
    """Return those that run."""
    return [pod for pod in executors(core, namespace) if pod.status.phase == "Running"]


def until(found: Callable[[], Any], what: str) -> Any:
    """Wait for something."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (answer := found()):
        assert time.monotonic() < end, what
        time.sleep(0.5)  # between two looks: what is looked at tells nobody
    return answer


def log(core: Any, namespace: str, name: str) -> str:
    """Return what a pod said so far."""
    try:
        return str(core.read_namespaced_pod_log(name, namespace, _preload_content=False).data.decode())
    except client.ApiException:
        return ""


def answer(core: Any, namespace: str, name: str) -> dict[str, Any]:
    """Wait until a pod has answered."""
    ends = {"Succeeded", "Failed"}
    until(lambda: core.read_namespaced_pod(name, namespace).status.phase in ends, log(core, namespace, name))
    said = log(core, namespace, name)
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert lines, said[-4000:]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def test_two_executors_answer_as_one_machine_and_one_may_die(kubernetes_core: Any, namespace: str, ask: Ask) -> None:
    """View, labels, join and scores are Polars'; an executor that is killed is replaced, and no score is lost."""
    name = ask(executors=2)
    until(
        lambda: "scoring" in log(kubernetes_core, namespace, name) or _over(kubernetes_core, namespace, name), "scoring"
    )
    pods = until(lambda: len(two := running(kubernetes_core, namespace)) == 2 and two, "two executors")
    for pod in pods:
        assert pod.spec.automount_service_account_token is False
        assert not [each for each in pod.spec.volumes if each.projected]
        assert pod.metadata.owner_references[0].name == name
        assert pod.spec.containers[0].security_context.read_only_root_filesystem
        assert pod.spec.containers[0].resources.limits["memory"] == "1335Mi"
    victim = pods[0].metadata.name
    kubernetes_core.delete_namespaced_pod(victim, namespace, grace_period_seconds=0)
    found = answer(kubernetes_core, namespace, name)
    assert found == {"rows": found["rows"], "same": [True] * 4, "left": [], "seconds": found["seconds"]}
    assert found["rows"] > 500


def _over(core: Any, namespace: str, name: str) -> bool:
    return core.read_namespaced_pod(name, namespace).status.phase in {"Succeeded", "Failed"}


def test_a_driver_s_pod_that_dies_takes_its_executors_along(kubernetes_core: Any, namespace: str, ask: Ask) -> None:
    """They are the pod's own: nobody pays for executors that nobody asks any more."""
    name = ask(executors=1)
    until(lambda: running(kubernetes_core, namespace), "an executor runs")
    kubernetes_core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    until(lambda: not executors(kubernetes_core, namespace), "its executors go")


def test_an_account_without_rights_is_told_which(kubernetes_core: Any, namespace: str, ask: Ask) -> None:
    """Before Java is started, by what the API server says."""
    found = answer(kubernetes_core, namespace, ask(account="nobody"))
    assert found["error"] == "InvalidEnvironment"
    assert (
        f"may not create, get, list, watch, delete, deletecollection pods in the namespace {namespace!r}"
        in found["problem"]
    )
    assert "bind a Role" in found["fix"]


def test_a_quota_refuses_in_its_own_words(kubernetes_core: Any, namespace: str, ask: Ask) -> None:
    """It is told at once, and later may be another answer."""
    quota = {"metadata": {"name": "little"}, "spec": {"hard": {"requests.memory": "1Gi"}}}
    name = ask(memory_gb=2)
    kubernetes_core.create_namespaced_resource_quota(namespace, quota)
    try:
        found = answer(kubernetes_core, namespace, name)
    finally:
        kubernetes_core.delete_namespaced_resource_quota("little", namespace)
    assert found["error"] == "Overloaded"
    assert "exceeded quota: little" in found["problem"]
    assert "raise the quota" in found["fix"]


@pytest.mark.parametrize(
    ("pods", "words"),
    [({"image": "loopline.local/nothing:1"}, "ErrImageNeverPull"), ({"memory_gb": 4_000}, "Insufficient memory")],
)
def test_executors_that_cannot_start_are_told_why(
    kubernetes_core: Any, namespace: str, ask: Ask, pods: dict[str, Any], words: str
) -> None:
    """When the time is over, in the kubelet's or the scheduler's words."""
    found = answer(kubernetes_core, namespace, ask(wait_seconds=20, **pods))
    assert found["error"] == "Overloaded"
    assert "no executor began within 20 s: " in found["problem"]
    assert words in found["problem"]
    assert "kubectl get pods,events" in found["fix"]
