"""Endpoints as InferenceServices on a real cluster, with the tests' own stand-in for KServe's controller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from kubernetes import client

from loopline.platform_core.contracts.serving import DesiredState, Serving
from loopline.platform_core.errors import Refused
from loopline.platform_core.testing.parts import endpoints
from loopline.platform_core.testing.parts.endpoints import Answered, Ask, ask_over_http, come_to, new_model, served
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.kserve.inference_service import service_name
from loopline.resources.kserve.serving import KServeServing
from loopline.resources.kubernetes.endpoint_manifests import object_name
from scripts.cluster.outside import Cluster
from tests.cluster import kserve_definitions
from tests.cluster.endpoints_in_pods import START_SECONDS, Bind, expose, reached, start, told
from tests.cluster.gateway import gateway
from tests.cluster.kserve_controller import KServeController, controlling, host
from tests.cluster.kubernetes_cluster import GATEWAY_PORT

CARRIED_SECONDS = 10
UNKNOWN = (404, 503)
"""What a gateway answers of a host that it has no route of, and of one that has no pods."""


@pytest.fixture(scope="module")
def kserve(cluster: Cluster, kubernetes_api: client.ApiClient, team_namespace: str) -> Iterator[KServeController]:
    """Install KServe's definitions, and let the stand-in look after a namespace behind a gateway."""
    with gateway(cluster, kubernetes_api, GATEWAY_PORT):
        kserve_definitions.install(kubernetes_api)
        controller = KServeController(kubernetes_api, team_namespace, has_gateway=True)
        with controlling(controller):
            yield controller


@pytest.fixture(scope="module")
def bind(cluster: Cluster, bind_pods: Bind) -> Callable[..., KServeServing]:
    """Bind a serving of a prefix of its own."""
    return partial(bind_pods, "kserve", KServeServing, reached(cluster))


@pytest.fixture(scope="module")
def shared(
    kserve: KServeController,
    bind: Callable[..., KServeServing],
    kubernetes_core: client.CoreV1Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> KServeServing:
    """Give an endpoint group of all tests' models, which callers outside reach by ports of the node."""
    assert kserve
    serving = bind(endpoint_group="kit", replicas=2)
    expose(kubernetes_core, serving.namespace, "kit")
    start(serving, kubernetes_core, tmp_path_factory.mktemp("first"))
    return serving


@pytest.fixture(scope="module")
def divided(
    kserve: KServeController,
    cluster: Cluster,
    bind_pods: Bind,
) -> KServeServing:
    """Give a serving whose models' versions are apart; callers outside reach it by the gateway."""
    assert kserve
    outside = {"address": f"http://127.0.0.1:{cluster.ports[str(GATEWAY_PORT)]}"}
    settings = {"apart": ["kit.*"], "settle_seconds": 2, "memory_gb": 0.4}
    serving = bind_pods("kserve", KServeServing, outside, address="http://inside", **settings)
    assert isinstance(serving, KServeServing)
    return serving


class TestKServeServing(ServingKit):
    tested_on = "real cluster: a stand-in for KServe's controller"

    @pytest.fixture
    def serving(self, shared: KServeServing) -> KServeServing:
        """The vendor outside of the cluster, with two pods behind an InferenceService."""
        return shared


class TestVersionsApart(ServingKit):
    """Each version in pods of its own, requests split by weights."""

    tested_on = "real cluster: a stand-in for KServe's controller"
    can = ("split",)

    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch: pytest.MonkeyPatch, kserve: KServeController) -> Iterator[None]:
        """Pods start with each version: that takes as long as it takes; those of one test are gone before the next."""
        monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", float(START_SECONDS))
        yield
        kserve.forget(but=service_name("kit"))

    @pytest.fixture
    def serving(self, divided: KServeServing) -> KServeServing:
        """The vendor outside of the cluster."""
        return divided

    @pytest.fixture
    def ask(self) -> Ask:
        """Ask the gateway, under the host of the model's InferenceService, from when it first answers.

        A gateway says that it has accepted a route a moment before it carries requests by it.
        """
        answered: set[str] = set()

        def ask(serving: Serving, model: str, key: str, amount: float) -> Answered:
            end = time.monotonic() + CARRIED_SECONDS
            while (found := ask_by_host(serving, model, key, amount)).status in UNKNOWN and model not in answered:
                assert time.monotonic() < end, f"{model}: {found}"
                time.sleep(0.1)  # between two requests
            answered.add(model)
            return found

        return ask


def ask_by_host(serving: KServeServing, model: str, key: str, amount: float) -> Answered:
    """Ask over HTTP as ``ask_over_http`` does, with KServe's host."""
    return ask_over_http(serving, model, key, amount, {"Host": host(service_name(model), serving.namespace)})


def test_pods_of_a_version_stay_while_its_share_changes(
    divided: KServeServing, kubernetes_core: client.CoreV1Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KServe gives an InferenceService's notes to its pods; each step is a new note, and none of them starts anew."""
    monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", float(START_SECONDS))
    model, one, two = new_model(), served(tmp_path, "1"), served(tmp_path, "2")

    def pods() -> dict[str, str]:
        """Return each version's pod by its name, but for those that end."""
        selector = f"serving.kserve.io/inferenceservice={service_name(model)}"
        found = kubernetes_core.list_namespaced_pod(divided.namespace, label_selector=selector).items
        return {
            pod.metadata.name: pod.metadata.labels["loopline.dev/version"]
            for pod in found
            if pod.metadata.deletion_timestamp is None
        }

    come_to(divided, DesiredState(model, 1, one))
    come_to(divided, DesiredState(model, 2, one, two, 5))
    before = pods()
    assert sorted(before.values()) == ["v1", "v2"]
    come_to(divided, DesiredState(model, 3, one, two, 50))
    assert pods() == before
    come_to(divided, DesiredState(model, 4, two))
    until(lambda: "v1" not in pods().values())
    assert pods() == {name: version for name, version in before.items() if version == "v2"}
    divided.let_go(model)


@pytest.mark.parametrize("apart", [False, True])
def test_an_inference_service_goes_with_its_last_model(
    kserve: KServeController, bind: Callable[..., KServeServing], apart: bool, tmp_path: Path
) -> None:
    """And KServe's Deployment and Service with it, within a minute; asked again nothing happens."""
    assert kserve
    serving, model = bind(), new_model()
    serving = serving.model_copy(update={"apart": ("kit.*",)} if apart else {})
    serving.apply(DesiredState(model, 1, served(tmp_path, "1")))
    service = service_name(serving.group(model))
    part = f"{service}-v1-predictor" if apart else f"{service}-predictor"
    kinds = (("apps/v1", "Deployment", part), ("v1", "Service", part))
    until(lambda: all(serving.get_object(*one) for one in kinds))
    for _ in range(2):
        assert serving.let_go(model)
        assert serving.get_object("serving.kserve.io/v1beta1", "InferenceService", service) is None
        assert serving.get_object("policy/v1", "PodDisruptionBudget", object_name(serving.group(model))) is None
    until(lambda: not any(serving.get_object(*one) for one in kinds))
    assert serving.below(serving.group(model)).listed("desired") == []
    until(lambda: serving.below(serving.group(model)).listed("versions") == [])  # a pod that ends takes its own away


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.3)  # between two looks: what is looked at tells nobody


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cpu": 1000}, "Insufficient cpu"),
        ({"runtime": "not-installed"}, "ClusterServingRuntime 'not-installed'"),
    ],
)
def test_what_keeps_pods_from_starting_is_told(
    kserve: KServeController,
    bind: Callable[..., KServeServing],
    settings: dict[str, object],
    words: str,
    tmp_path: Path,
) -> None:
    """In the words of scheduler or kubelet where there is a pod, in KServe's where it made none."""
    assert kserve
    assert words in told(bind(**settings), tmp_path, words)


def test_where_nobody_looks_after_inference_services(
    kserve: KServeController,
    bind: Callable[..., KServeServing],
    kubernetes_core: client.CoreV1Api,
    tmp_path: Path,
) -> None:
    """The definitions are there, and the controller is not: that is told, and no pod is waited for in silence."""
    assert kserve
    kubernetes_core.create_namespace({"metadata": {"name": "unwatched"}})
    serving = bind().model_copy(update={"namespace": "unwatched"})
    assert "does its controller run" in told(serving, tmp_path, "controller")


def test_kserve_s_own_schema_refuses_what_is_none(
    kserve: KServeController, bind: Callable[..., KServeServing], tmp_path: Path
) -> None:
    """The API server's words reach whoever deploys."""
    assert kserve
    serving = bind(tolerations=({"key": ["no", "word"]},))
    with pytest.raises(Refused, match="tolerations"):
        serving.apply(DesiredState(new_model(), 1, served(tmp_path, "1")))


def test_definitions_made_from_the_client_s_models_are_taken(kubernetes_api: client.ApiClient) -> None:
    """Where KServe's own are not at hand the tests stand on these: the API server finds nothing wrong with them."""
    extensions = client.ApiextensionsV1Api(kubernetes_api)
    for one in kserve_definitions.made():
        group = f"made.{one['spec']['group']}"  # beside KServe's own
        one["spec"]["group"] = group
        one["metadata"]["name"] = f"{one['spec']['names']['plural']}.{group}"
        taken = extensions.create_custom_resource_definition(one, dry_run="All")
        assert taken.spec.versions[0].schema.open_apiv3_schema.properties["spec"].properties
