"""Endpoints as InferenceServices on a real cluster, with the tests' own stand-in for KServe's controller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from kubernetes import client

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import Refused
from loopline.platform_core.testing.endpoints import new_model, served
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.kserve.serving import KServeServing
from scripts.cluster.outside import Cluster
from tests.cluster import kserve_definitions
from tests.cluster.endpoints_in_pods import START_SECONDS, Bind, expose, reached, start
from tests.cluster.kserve_controller import KServeController, controlling

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def kserve(kubernetes_api: client.ApiClient, team_namespace: str) -> Iterator[KServeController]:
    """Install KServe's definitions, and let the stand-in look after a namespace."""
    kserve_definitions.install(kubernetes_api)
    controller = KServeController(kubernetes_api, team_namespace)
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


class TestKServeServing(ServingKit):
    @pytest.fixture
    def serving(self, shared: KServeServing) -> KServeServing:
        """The vendor outside of the cluster, with two pods behind an InferenceService."""
        return shared


def told(serving: KServeServing, folder: Path, words: str) -> str:
    """Deploy a model, and return what its endpoint says is wrong, once that holds the words."""
    model, end = new_model(), time.monotonic() + START_SECONDS
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    while words not in (problem := serving.observe(model).problem) and time.monotonic() < end:
        time.sleep(0.5)
    return problem


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cpu": 1000}, "Insufficient cpu"),
        ({"runtime": "not-installed"}, "with the name: not-installed"),
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
