"""Endpoints as pods of a real cluster: the kit, and what pods and nodes do to requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from kubernetes import client

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import image_canary
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import ErrorRate, Model, Rollout
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.parts.endpoints import ask_over_http, come_to, logged_after, new_model, served
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.kubernetes.endpoint_manifests import KINDS, labels, object_name
from loopline.resources.kubernetes.serving import KubernetesServing
from loopline.stories.many_models import LATE
from scripts.cluster import images
from scripts.cluster.outside import Cluster
from tests.cluster.endpoints_in_pods import START_SECONDS, Bind, expose, reached, start, told
from tests.platform_core.ledgers import new_ledger


@pytest.fixture(scope="module")
def bind(cluster: Cluster, bind_pods: Bind) -> Callable[..., KubernetesServing]:
    """Bind a serving of a prefix of its own."""
    return partial(bind_pods, "kubernetes", KubernetesServing, reached(cluster))


@pytest.fixture(scope="module")
def shared(
    bind: Callable[..., KubernetesServing],
    kubernetes_core: client.CoreV1Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> KubernetesServing:
    """Give an endpoint group of all tests' models, which callers outside reach by ports of the node."""
    serving = bind(endpoint_group="kit", replicas=2)
    expose(kubernetes_core, serving.namespace, "kit")
    start(serving, kubernetes_core, tmp_path_factory.mktemp("first"))
    return serving


class TestKubernetesServing(ServingKit):
    tested_on = "real cluster"

    @pytest.fixture
    def serving(self, shared: KubernetesServing) -> KubernetesServing:
        """The vendor outside of the cluster, with two pods behind a Service."""
        return shared

    @pytest.fixture
    def another_image(self) -> str:
        """The release's own, in which tests' models are as well."""
        return images.RELEASED


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


@pytest.mark.parametrize(
    ("image", "failed", "words"),
    [("failing", True, "ErrorRate 1 above 0.05"), ("without-models", False, "this image lacks what models need")],
)
def test_the_loop_takes_an_image_back(
    shared: KubernetesServing, tmp_path: Path, image: str, failed: bool, words: str
) -> None:
    """One pod of it answers with errors, until they prove harm; one that can load no model is asked by nobody."""
    ref = ModelRef(*new_model().split("."))
    rule = Rollout(bake_minutes=0.5, min_requests=20, judges=(ErrorRate(0.05),))
    model = Model(ref.model, (), LATE, None, rollout=rule)
    registry = InMemoryRegistry()
    version = served(tmp_path, "1")
    registry.publish(Publication(ref.dotted, version.package, None, pa.table({})))
    bindings = {"serving": shared, "registry": registry}
    platform = Platform(Environment("test", tmp_path / "test.yaml", bindings, new_ledger(tmp_path), None, tmp_path))
    why = {"actor": "ada", "reason": "first", "cycle": "c", "now": datetime.now(UTC)}
    live = deployments.change(platform, ref, version, None, 0, **why)
    assert wait_until_settled(shared, ref.dotted), (shared.observe(ref.dotted), shared.states.observed(ref.dotted))
    newer = shared.model_copy(update={"image": images.image_of(image)})
    platform.environment.bindings["serving"] = newer
    answers, said, end = [], "", time.monotonic() + START_SECONDS
    while "taken back" not in said and time.monotonic() < end:
        said = image_canary.look(platform, ref, model, datetime.now(UTC))
        answers += [ask_over_http(shared, ref.dotted, f"key-{n}", 1.0) for n in range(10)]
    assert words in said
    assert {answer.status for answer in answers} == ({200, 500} if failed else {200})
    newer.apply(live.state)
    after = newer.images(ref.dotted)
    assert (after.stable, after.candidate, after.refused) == (shared.image, "", newer.image)
    assert wait_until_settled(shared, ref.dotted)
    assert {ask_over_http(shared, ref.dotted, f"key-{n}", 1.0).status for n in range(100)} == {200}
    assert [entry.kind for entry in platform.ledger.entries(ref, image_canary.KINDS)] == [
        "image.started",
        "image.rolled_back",
    ]
    platform.close()


def test_what_answers_for_a_model_that_is_gone_ends(bind: Callable[..., KubernetesServing], tmp_path: Path) -> None:
    """With the group's last model: before that the others' pods stay. Asked again nothing happens; it may come back."""
    serving = bind(endpoint_group="leaving")
    first, second = new_model(), new_model()
    for model in (first, second):
        serving.apply(DesiredState(model, 1, served(tmp_path, "1")))
    assert serving.let_go(first)
    assert serving.states.wanted(first) is None
    assert there(serving, "leaving") == {"Deployment", "Service", "PodDisruptionBudget"}
    for _ in range(2):
        assert serving.let_go(second)
        assert there(serving, "leaving") == set()
    serving.apply(DesiredState(second, 2, served(tmp_path, "2")))
    assert there(serving, "leaving") == {"Deployment", "Service", "PodDisruptionBudget"}
    serving.let_go(second)


def there(serving: KubernetesServing, group: str) -> set[str]:
    """Return of which kinds a group has objects."""
    kinds = [kind.split() for kind in KINDS]
    return {kind for api, kind in kinds if serving.get_object(api, kind, object_name(group)) is not None}


def wait_until_settled(serving: KubernetesServing, model: str) -> bool:
    """Wait until every server that is known is ready."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if serving.observe(model).ready and len(serving.states.observed(model)) == serving.replicas:
            return True
        time.sleep(0.5)  # between two looks: what is looked at tells nobody
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
    assert words in told(bind(**settings), tmp_path, words)


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
