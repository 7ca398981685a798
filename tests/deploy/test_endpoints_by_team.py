"""Endpoints in each team's own namespace, made with what the chart gives to code locations and with nothing else."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import Refused
from loopline.platform_core.testing.parts.endpoints import ask_over_http, served
from loopline.resources.kserve.serving import KServeServing
from loopline.resources.kubernetes.endpoint_manifests import labels
from loopline.resources.kubernetes.pod_serving import PodServing
from loopline.resources.kubernetes.serving import KubernetesServing
from scripts.cluster import images
from scripts.cluster.outside import Cluster
from tests.cluster import kserve_definitions
from tests.cluster.endpoints_in_pods import (
    BUCKET,
    START_SECONDS,
    expose,
    object_store,  # noqa: F401 - a fixture
    reached,
    shown,
    signed_in,
    storage_in_file,
)
from tests.cluster.installed_chart import CHART, REACHED, merged
from tests.cluster.kserve_controller import KServeController, controlling
from tests.s3_server import SECRET, VARIABLE

pytestmark = pytest.mark.timeout(600)
TEAMS = ("north", "far_east")
VENDORS: dict[str, type[PodServing]] = {"kubernetes": KubernetesServing, "kserve": KServeServing}
Serves = Callable[[str], PodServing]


@pytest.fixture(scope="module", params=VENDORS)
def release(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    kubernetes_api: client.ApiClient,
    kubernetes_core: client.CoreV1Api,
) -> Iterator[str]:
    """Install the chart for two teams, by each vendor; gives its namespace.

    Its own processes wait for a Secret that nobody makes: what is looked at are rights, accounts and environments. What
    opens the object store is a variable of endpoints alone: the chart fills its own variables into the file.
    """
    import helm_python as helm

    vendor = request.param
    name = f"apart-{vendor}"
    if vendor == "kserve":
        kserve_definitions.install(kubernetes_api)
    kubernetes_core.create_namespace({"metadata": {"name": name}})
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=name) as helmed:
        helmed.install(CHART, "loopline", values(vendor, name))
        if vendor == "kserve":
            with controlling(KServeController(kubernetes_api, f"{name}-north")):
                yield name
            kserve_definitions.remove_routes(kubernetes_api)  # other tests' cluster has no Gateway API
        else:
            yield name
        helmed.uninstall("loopline")
    for namespace in (name, f"{name}-north", f"{name}-far-east"):
        kubernetes_core.delete_namespace(namespace)


def values(vendor: str, name: str) -> dict[str, object]:
    """Return what is said of an installation whose endpoints are in their teams' namespaces."""
    serving = {
        "vendor": vendor,
        "store": f"s3://{BUCKET}/{name}",
        "storage_options": storage_in_file(),
        "env": {VARIABLE: SECRET},
        "image": "${LOOPLINE_IMAGE}",
        "python": "${LOOPLINE_PYTHON}",
        "namespace": "${LOOPLINE_SERVING_NAMESPACE}",
        "service_account": "${LOOPLINE_SERVING_ACCOUNT}",
        "endpoint_group": "{team}",
        "replicas": 1,
        "cpu": 0.1,
        "memory_gb": 0.5,
    }
    bindings = {"serving": serving, "online_store": {"vendor": "sqlite", "path": "/tmp/online.db"}}
    repository, _, tag = images.RELEASED.partition(":")
    return merged(
        yaml.safe_load(CHART.joinpath("values-laptop-cluster.yaml").read_text()),
        REACHED,
        {
            "image": {"repository": repository, "tag": tag},
            "teams": {team: {} for team in TEAMS},
            "teamDefaults": {"resources": {"limits": {"memory": "4Gi"}}},
            "stores": {"secret": "nobody-makes-it"},
            "serving": {"namespace": f"{name}-{{team}}"},
            "environment": {"text": json.dumps({"name": name, "bindings": bindings})},
        },
    )


@pytest.fixture
def of_team(
    release: str,
    cluster: Cluster,
    kubernetes_core: client.CoreV1Api,
    object_store: dict[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
) -> Iterator[Serves]:
    """Bind serving as a team's code location does: by its environment, signed in as its account."""
    bound: list[PodServing] = []

    def bind(team: str) -> PodServing:
        namespace = f"{release}-{team.replace('_', '-')}"
        text = kubernetes_core.read_namespaced_config_map("loopline-environment", namespace).data["environment.yaml"]
        settings = yaml.safe_load(text)["bindings"]["serving"]
        kubeconfig = signed_in(kubernetes_core, cluster, namespace, "loopline-code", tmp_path / f"{team}.json")
        outside = {**reached(cluster), "storage_options": object_store, "kubeconfig": kubeconfig}
        bound.append(VENDORS[settings.pop("vendor")](**{**settings, **outside}))
        return bound[-1]

    yield bind
    for one in bound:
        one.close()


def test_a_team_s_endpoint_stands_in_its_own_namespace(
    release: str, of_team: Serves, kubernetes_core: client.CoreV1Api, tmp_path: Path
) -> None:
    """Made, seen and taken away by its code location; its pod answers, as the account for serving."""
    north, model, namespace = of_team("north"), "north.one", f"{release}-north"
    expose(kubernetes_core, namespace, "north")
    north.apply(DesiredState(model, 1, served(tmp_path, "1")))
    end = time.monotonic() + START_SECONDS
    while answered(north, model) != "1":
        assert time.monotonic() < end, f"{north.observe(model)}\n{shown(north.of_team(model), kubernetes_core)}"
        time.sleep(0.5)  # between two looks
    assert north.observe(model).ready
    (pod,) = pods(kubernetes_core, namespace, "north")
    assert pod.spec.service_account_name == "loopline-serving"
    assert pod.spec.automount_service_account_token is False
    kubernetes_core.delete_namespaced_service("outside", namespace)
    assert north.let_go(model)
    while pods(kubernetes_core, namespace, "north"):
        assert time.monotonic() < end + START_SECONDS
        time.sleep(0.5)  # between two looks


def test_a_team_makes_no_endpoint_of_another_team(
    release: str, of_team: Serves, kubernetes_core: client.CoreV1Api, tmp_path: Path
) -> None:
    """The API server refuses it by name, and nothing of it is there."""
    model, namespace = "far_east.one", f"{release}-far-east"
    with pytest.raises(Refused, match=f"refuses the .* in {namespace}: .*forbidden.*{release}-north:loopline-code"):
        of_team("north").apply(DesiredState(model, 1, served(tmp_path, "1")))
    assert pods(kubernetes_core, namespace, "far_east") == []


def pods(core: client.CoreV1Api, namespace: str, group: str) -> list[client.V1Pod]:
    """Return a group's pods."""
    selector = ",".join(f"{name}={value}" for name, value in labels(group).items())
    return list(core.list_namespaced_pod(namespace, label_selector=selector).items)


def answered(serving: PodServing, model: str) -> str:
    """Ask once; gives the version that answered, "" where none did."""
    try:
        return ask_over_http(serving, model, "key", 1.0).version
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return ""
