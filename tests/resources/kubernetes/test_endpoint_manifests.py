"""What is written for an endpoint group, and how it is named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from loopline.platform_core.contracts.serving import ServerImages
from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.kserve.serving import KServeServing
from loopline.resources.kubernetes import server_images
from loopline.resources.kubernetes.endpoint_manifests import manifests, object_name
from loopline.resources.kubernetes.pod_serving import PodServing
from loopline.resources.kubernetes.serving import KubernetesServing


def serving(**settings: object) -> KubernetesServing:
    """Bind a serving that asks nobody."""
    return KubernetesServing(store="s3://b/p", image="loopline:1", **settings)


def kinds(**settings: object) -> dict[str, dict]:
    """Return the objects of a group by kind."""
    return {one["kind"]: one for one in manifests(serving(**settings), "retail", "retail.cancellations")}


def pod(image: str, *, ready: bool = True, restarts: int = 0) -> SimpleNamespace:
    """Return a pod as the API's client gives it."""
    ended = SimpleNamespace(reason="OOMKilled", exit_code=137) if restarts else None
    status = SimpleNamespace(
        name="server",
        restart_count=restarts,
        ready=True,
        last_state=SimpleNamespace(terminated=ended),
        state=SimpleNamespace(waiting=None),
    )
    conditions = [SimpleNamespace(type="Ready", status=str(ready), message="")]
    return SimpleNamespace(
        metadata=SimpleNamespace(name="p", namespace="n", deletion_timestamp=None),
        spec=SimpleNamespace(containers=[SimpleNamespace(image=image)]),
        status=SimpleNamespace(conditions=conditions, container_statuses=[status], init_container_statuses=None),
    )


def test_names_of_groups_are_names_of_objects() -> None:
    """What a name may not hold is replaced, and groups that would meet do not."""
    assert object_name("retail") == "loopline-retail"
    alike = {
        object_name(group) for group in ("retail.a_b", "retail.a-b", "retail-a-b", "Retail.a.b", "x" * 90, "x" * 91)
    }
    assert len(alike) == 6
    assert all(len(name) <= 63 and name.strip("-").replace("-", "").isalnum() for name in alike)


def test_the_group_of_a_model() -> None:
    """Its own, its team's, or everybody's; what else stands in braces is found."""
    assert serving().group("retail.cancellations") == "retail.cancellations"
    assert serving(endpoint_group="{team}").group("retail.cancellations") == "retail"
    assert serving(endpoint_group="all").group("retail.cancellations") == "all"
    with pytest.raises(InvalidEnvironment, match="endpoint_group"):
        serving(endpoint_group="{tenant}").group("retail.cancellations")


@pytest.mark.parametrize("kind", [KubernetesServing, KServeServing])
def test_a_team_s_endpoints_are_at_its_own_place(kind: type[PodServing]) -> None:
    """Namespace and account are filled in with the model's team, once a team; whoever shares them stays as it is."""
    given = {"store": "s3://b/p", "image": "loopline:1", "endpoint_group": "{team}"}
    own = kind(**given, namespace="mlops-{team}", service_account="{team}-endpoints")
    assert ".mlops-north.svc:" in own.endpoint("north.one")
    assert ".mlops-south.svc:" in own.grpc_endpoint("south.one")
    north = own.of_team("north.one")
    assert (north.namespace, north.service_account) == ("mlops-north", "north-endpoints")
    assert own.of_team("far_east.one").namespace == "mlops-far-east", "no name of Kubernetes has an underscore"
    assert own.of_team("north.two") is north
    assert north.of_team("north.one") is north
    shared = kind(**given, namespace="all")
    assert shared.of_team("north.one") is shared
    with pytest.raises(ValueError, match=r"endpoint_group must hold {team} as well"):
        kind(**{**given, "endpoint_group": "all"}, namespace="mlops-{team}")
    with pytest.raises(InvalidEnvironment, match=r"use {team}, or a plain word"):
        kind(**given, namespace="mlops-{tenant}").endpoint("north.one")


def test_a_pod_is_given_whole_secrets_or_single_entries() -> None:
    """To all of its containers, or to those that are named; what the environment says itself goes before."""
    entries = {"name": "stores", "entries": ["A", "B"], "containers": ["relay"], "optional": True}
    given = ("keys", entries, {"name": "stores", "entries": ["C"]})
    spec = kinds(environment_from=given, env={"B": "said"})["Deployment"]["spec"]["template"]["spec"]
    relay, server, shadow = *spec["initContainers"], *spec["containers"]
    assert all(one["envFrom"] == [{"secretRef": {"name": "keys"}}] for one in (relay, server, shadow))
    last = {"name": "C", "valueFrom": {"secretKeyRef": {"name": "stores", "key": "C"}}}
    first = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "stores", "key": "A", "optional": True}}}
    assert [one for one in relay["env"] if "secretKeyRef" in str(one)] == [first, last]
    assert [one for one in server["env"] if "secretKeyRef" in str(one)] == [last]
    assert [one for one in shadow["env"] if "secretKeyRef" in str(one)] == [last]
    assert {"name": "B", "value": "said"} in relay["env"]


def test_the_number_of_pods_is_either_ours_or_the_autoscaler_s() -> None:
    """Both would fight."""
    fixed, scaled = kinds(replicas=3), kinds(replicas=2, replicas_max=5)
    assert fixed["Deployment"]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in fixed
    assert "replicas" not in scaled["Deployment"]["spec"]
    spec = scaled["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)


def test_a_pod_s_parts_end_in_order() -> None:
    """The relay is a sidecar: it begins before the server and ends after it, within the pod's grace."""
    pod = kinds(gpu=1)["Deployment"]["spec"]["template"]["spec"]
    (relay,) = pod["initContainers"]
    server = pod["containers"][0]
    assert relay["restartPolicy"] == "Always"
    drain = float(relay["command"][relay["command"].index("--drain-seconds") + 1])
    assert drain < pod["terminationGracePeriodSeconds"]
    assert server["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["shareProcessNamespace"]


def test_a_model_has_a_route_where_there_is_a_gateway() -> None:
    """To its group's Service, by the path under which it is asked."""
    route = kinds(http_gateway="gateways/public")["HTTPRoute"]["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    (rule,) = route["rules"]
    assert rule["matches"][0]["path"]["value"] == "/v2/models/retail.cancellations"
    assert rule["backendRefs"] == [{"name": "loopline-retail", "port": 8080}]
    assert "HTTPRoute" not in kinds()


def test_where_callers_ask() -> None:
    """At the gateway, or at the Service inside the cluster."""
    inside = serving(endpoint_group="{team}", namespace="models")
    assert inside.endpoint("retail.x") == "http://loopline-retail.models.svc:8080/v2/models/retail.x"
    assert inside.grpc_endpoint("retail.x") == "loopline-retail.models.svc:8081"
    outside = serving(address="https://models.example.com/", grpc_address="grpc.example.com:443")
    assert outside.endpoint("retail.x") == "https://models.example.com/v2/models/retail.x"
    assert outside.grpc_endpoint("retail.x") == "grpc.example.com:443"


def test_secrets_are_files_of_the_pod_s_own_user() -> None:
    """Keys and certificates: each of the containers sees them where the environment says, and cannot write."""
    made = kinds(secrets={"keys": "/etc/keys", "tls": "/etc/tls"})["Deployment"]["spec"]["template"]["spec"]
    mounted = {one["name"]: one["secret"] for one in made["volumes"] if "secret" in one}
    assert {one["secretName"]: one["defaultMode"] for one in mounted.values()} == {"keys": 0o440, "tls": 0o440}
    for container in (*made["initContainers"], *made["containers"]):
        places = {one["mountPath"]: mounted[one["name"]] for one in container["volumeMounts"] if one["name"] in mounted}
        assert {path: one["secretName"] for path, one in places.items()} == {"/etc/keys": "keys", "/etc/tls": "tls"}
        assert all(one["readOnly"] for one in container["volumeMounts"] if one["name"] in mounted)


def test_another_image_has_one_pod_until_it_is_settled() -> None:
    """The rollout goes no further by itself; what the Deployment says of its images is read again from it."""

    def deployment(images: ServerImages) -> dict:
        return manifests(serving(replicas=3), "retail", "retail.m", images)[0]

    first = deployment(ServerImages("loopline:1", "loopline:1"))
    plain = server_images.read(first, "loopline:1")
    assert plain == ServerImages("loopline:1", "loopline:1")
    assert (first["spec"]["minReadySeconds"], "progressDeadlineSeconds" in first["spec"]) == (10, False)

    trial = deployment(server_images.read(first, "loopline:2").asked())
    pods = trial["spec"]["template"]["spec"]
    assert {one["image"] for one in [*pods["initContainers"], *pods["containers"]]} == {"loopline:2"}
    assert {"name": "LOOPLINE_IMAGE", "value": "loopline:2"} in pods["containers"][0]["env"]
    assert trial["spec"]["minReadySeconds"] == server_images.TRIAL_SECONDS < trial["spec"]["progressDeadlineSeconds"]
    assert trial["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    tried = server_images.read(trial, "loopline:2")
    assert (tried.stable, tried.candidate) == ("loopline:1", "loopline:2")
    assert tried.asked() == tried

    taken = deployment(tried.settled("loopline:2", promote=False))
    refused = server_images.read(taken, "loopline:2").asked()
    assert (refused.stable, refused.candidate, refused.refused) == ("loopline:1", "", "loopline:2")
    assert taken["spec"] == first["spec"]
    everywhere = server_images.read(deployment(tried.settled("loopline:2", promote=True)), "loopline:2")
    assert everywhere == ServerImages("loopline:2", "loopline:2")


@pytest.mark.parametrize(
    ("pods", "ready", "problem"),
    [
        ([], False, "servers say so"),
        ([pod("loopline:1")], False, "servers say so"),
        ([pod("loopline:1"), pod("loopline:2")], True, ""),
        ([pod("loopline:2", ready=False)], False, "servers say so"),
        (
            [pod("loopline:2", restarts=3)],
            False,
            "the server of p ended with OOMKilled (exit code 137), and was started again 3 times",
        ),
    ],
)
def test_what_a_pod_of_another_image_does(pods: list[SimpleNamespace], ready: bool, problem: str) -> None:
    """One that ended and was started again does not count as one that answers."""
    tried = ServerImages("loopline:2", "loopline:1", "loopline:2")
    link = SimpleNamespace(
        call=lambda *_, **__: SimpleNamespace(items=[]), core=SimpleNamespace(list_namespaced_event=0)
    )
    seen = server_images.seen(tried, link, pods, "servers say so", {"retail.m"})
    assert (seen.ready, seen.problem, seen.models) == (ready, problem, {"retail.m"})
