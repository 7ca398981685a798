"""How often the API is asked: what many want to know at once is asked for once."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import yaml

from loopline.platform_core.errors import StoreUnavailable
from loopline.resources.kubernetes import link as linking
from loopline.resources.kubernetes import pod_serving
from loopline.resources.kubernetes.link import Link, is_unknown_path
from loopline.resources.kubernetes.serving import KubernetesServing
from loopline.resources.kubernetes.settings import PlainSignIn
from tests.emulators.http_server import Serving, as_json

POD = {
    "metadata": {"name": "silent", "namespace": "n", "uid": "u"},
    "spec": {"containers": [{"name": "server", "image": "i"}]},
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/500 nodes are available"}],
    },
}


@pytest.fixture
def api(tmp_path):
    """Answer lists of nodes and pods, and count them; gives the counts and a kubeconfig."""
    asked = Counter()

    def answer(request):
        path = urlsplit(request.path)
        kind = path.path.rpartition("/")[2]
        asked[kind] += 1
        asked[f"{kind} from memory"] += "resourceVersion=0" in path.query
        time.sleep(0.1)  # a while in which others may ask, and who has no patience is gone
        items = [POD] if kind == "pods" else []
        return as_json(200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items})

    with Serving(answer) as server:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        yield asked, file


def test_a_server_that_hangs_is_asked_once_within_a_short_patience(api, monkeypatch):
    """Its patience is the caller's: nothing below asks again, each time for as long as the first."""
    asked, file = api
    monkeypatch.setattr(linking, "_CALL_SECONDS", (5, 0.02))  # it answers later; older clients know no fraction alone
    link = Link(PlainSignIn(file, api_patience_seconds=0))
    with pytest.raises(StoreUnavailable, match="the Kubernetes API was away for 0 s"):
        link.call(link.core.list_node)
    time.sleep(0.5)  # whoever else asks has asked by then
    assert asked["nodes"] == 1


def test_nodes_are_listed_once_for_all_tasks_of_a_minute(api, monkeypatch):
    """Twenty that begin at once ask the API server once, and not its database; a minute later it is asked again."""
    asked, file = api
    link = Link(PlainSignIn(file))
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda _: link.lately(link.core.list_node), range(20))) == [[]] * 20
    assert (asked["nodes"], asked["nodes from memory"]) == (1, 1)
    monkeypatch.setattr(linking, "_LATELY_SECONDS", 0)
    link.lately(link.core.list_node)
    assert asked["nodes"] == 2
    link.close()


def test_why_a_group_is_silent_is_asked_now_and_then(api, tmp_path, monkeypatch):
    """Looks of every few seconds say the same for a quarter of a minute; each group is asked about by itself."""
    asked, file = api
    serving = KubernetesServing(image="i", kubeconfig=file, namespace="n", store=f"file://{tmp_path}/store")
    for _ in range(5):
        assert serving.why("first") == "silent does not start: 0/500 nodes are available"
    assert asked["pods"] == 1
    serving.why("second")
    serving.why("first", {"version": "2"})
    assert asked["pods"] == 3
    monkeypatch.setattr(pod_serving, "_PROBLEM_SECONDS", 0)
    serving.why("first")
    assert asked["pods"] == 4
    serving.close()


def test_discovery_of_kinds_waits_no_longer_than_a_call(api, monkeypatch):
    """A server that takes the question which kinds there are and says nothing is away, in our own words."""
    _, file = api
    monkeypatch.setattr(linking, "_CALL_SECONDS", (5, 0.02))
    link = Link(PlainSignIn(file, api_patience_seconds=0))
    with pytest.raises(StoreUnavailable, match="the Kubernetes API was away for 0 s"):
        link.resource("apps/v1", "Deployment")


@pytest.mark.parametrize(
    ("status", "body", "unknown"),
    [
        (404, "404 page not found\n", True),
        (404, '{"kind": "Status", "message": "namespaces \\"nowhere\\" not found"}', False),
        (409, "conflict", False),
    ],
)
def test_a_kind_that_is_gone_is_told_from_an_object_that_is(status: int, body: str, unknown: bool) -> None:
    """A process that has seen a kind goes on asking for it after its definition went."""
    from kubernetes.client import ApiException

    error = ApiException(status=status, reason="Not Found" if status == 404 else "Conflict")
    error.body = body
    assert is_unknown_path(error) is unknown
