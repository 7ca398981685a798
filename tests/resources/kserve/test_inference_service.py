"""What is written for KServe, held against the models of KServe's own client package."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.peers import interpreter
from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.kserve.inference_service import manifests, service_name
from loopline.resources.kserve.serving import KServeServing, problem_of
from loopline.resources.kubernetes.endpoint_manifests import pod

MODELS = Path(__file__).with_name("kserve_models.py")


def serving(**settings: Any) -> KServeServing:
    """Bind a serving that asks nobody."""
    return KServeServing(store="s3://b/p", image="loopline:1", **settings)


def kinds(**settings: Any) -> dict[str, dict[str, Any]]:
    """Return the objects of a group by kind."""
    return {one["kind"]: one for one in manifests(serving(**settings), "retail")}


def unknown(objects: list[dict[str, Any]]) -> list[str]:
    """Ask KServe's client, in its own environment, which fields it does not know."""
    command = [interpreter("kserve"), str(MODELS), "unknown"]
    answer = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, check=True)
    return list(json.loads(answer.stdout))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"replicas_max": 6, "gpu": 1, "priority_class": "high", "tolerations": ({"key": "gpu", "operator": "Exists"},)},
        {"replicas_max": 6, "requests_per_pod": 20, "prometheus": "http://prometheus:9090"},
    ],
)
def test_kserve_s_client_knows_every_field(settings: dict[str, Any]) -> None:
    """Each field of each object, down to the pod's probes, is one of the models', with a value of its kind."""
    assert unknown(manifests(serving(**settings), "retail")) == []


def test_a_field_that_kserve_does_not_know_is_found() -> None:
    """Also deep inside: the check is one."""
    objects = manifests(serving(), "retail")
    service = next(one for one in objects if one["kind"] == "InferenceService")
    service["spec"]["predictor"]["model"]["readinessProbe"]["httpPut"] = {}
    service["spec"]["predictor"]["minReplicas"] = "two"
    assert unknown(objects) == [
        "InferenceService.spec.predictor.model.readinessProbe.httpPut",
        "InferenceService.spec.predictor.minReplicas: 'two' is no int",
    ]


def test_names_leave_room_for_what_kserve_adds() -> None:
    """To a Service's name and to a host's first label, 63 letters each; groups that would meet do not."""
    groups = ("retail", "retail.a_b", "retail.a-b", "Retail.a.b", "x" * 90, "x" * 91)
    names = {service_name(group) for group in groups}
    assert len(names) == len(groups)
    assert all(len(f"{name}-v12345-predictor") <= 63 for name in names)
    assert service_name("retail") == "loopline-retail"


def test_the_pod_is_the_one_of_a_cluster_without_kserve() -> None:
    """Server, relay and shadow with their probes and ends; the server is the model's container, under KServe's name."""
    made = kinds(gpu=1)["InferenceService"]["spec"]["predictor"]
    plain = pod(serving(gpu=1), "retail")
    assert made["initContainers"] == plain["initContainers"]
    assert [one["name"] for one in made["containers"]] == ["shadow"]
    server = plain["containers"][0]
    assert {name: made["model"][name] for name in server.keys() - {"name"}} == {
        name: server[name] for name in server.keys() - {"name"}
    }
    assert made["model"]["name"] == ""
    assert made["model"]["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    assert made["model"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert made["terminationGracePeriodSeconds"] == plain["terminationGracePeriodSeconds"]


def test_who_sets_the_number_of_pods() -> None:
    """Nobody but us, KServe's HPA by busy cores, or KEDA by requests underway in this group's pods."""
    scaler = "serving.kserve.io/autoscalerClass"
    fixed = kinds(replicas=3)["InferenceService"]
    assert (fixed["metadata"]["annotations"][scaler], fixed["spec"]["predictor"]["minReplicas"]) == ("none", 3)
    busy = kinds(replicas=2, replicas_max=5, busy_percent=60)["InferenceService"]
    assert busy["metadata"]["annotations"][scaler] == "hpa"
    predictor = busy["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 5)
    assert (predictor["scaleMetric"], predictor["scaleTarget"]) == ("cpu", 60)
    asked = kinds(replicas_max=5, requests_per_pod=20, prometheus="http://p:9090")["InferenceService"]
    assert asked["metadata"]["annotations"][scaler] == "keda"
    (metric,) = asked["spec"]["predictor"]["autoScaling"]["metrics"]
    assert (
        'loopline_requests_underway{namespace="loopline",pod=~"loopline-retail-'
        in metric["external"]["metric"]["query"]
    )
    assert metric["external"]["target"] == {"type": "Value", "value": "20"}  # KServe's webhook refuses one without
    with pytest.raises(ValidationError, match="prometheus must say"):
        serving(requests_per_pod=20)


def test_the_runtime_is_ours_or_named() -> None:
    """One of the cluster's is not written over."""
    made = kinds()
    assert made["ServingRuntime"]["spec"]["supportedModelFormats"][0]["name"] == "loopline"
    assert (
        made["InferenceService"]["spec"]["predictor"]["model"]["runtime"] == made["ServingRuntime"]["metadata"]["name"]
    )
    given = kinds(runtime="loopline-cluster")
    assert "ServingRuntime" not in given
    assert given["InferenceService"]["spec"]["predictor"]["model"]["runtime"] == "loopline-cluster"


def test_where_callers_ask() -> None:
    """At a group's host of KServe's gateway, or at the predictor's Service inside the cluster."""
    inside = serving(endpoint_group="{team}", namespace="models")
    assert inside.endpoint("retail.x") == "http://loopline-retail-predictor.models.svc:80/v2/models/retail.x"
    assert inside.grpc_endpoint("retail.x") == "loopline-retail-predictor.models.svc:8081"
    outside = serving(endpoint_group="{team}", address="https://{service}-{namespace}.example.com/")
    assert outside.endpoint("retail.x") == "https://loopline-retail-loopline.example.com/v2/models/retail.x"
    with pytest.raises(InvalidEnvironment, match="address"):
        serving(address="https://{host}").endpoint("retail.x")
    with pytest.raises(InvalidEnvironment, match=r"endpoint_group .* cannot be filled in"):
        serving(endpoint_group="{team.name}").group("retail.x")


def test_what_kserve_says_is_told() -> None:
    """That nobody looks, or what it cannot do; nothing while it is on its way, or nothing is wrong."""
    made = datetime(2026, 1, 1, tzinfo=UTC)

    def said(seconds: float, **status: Any) -> str:
        service = {
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"predictor": {"model": {"runtime": "ours"}}},
            "status": status,
        }
        return problem_of("x", service, made + timedelta(seconds=seconds))

    assert said(1) == ""
    assert "does its controller run" in said(60)
    ready = {"type": "Ready", "status": "True"}
    assert said(60, conditions=[ready]) == ""
    coming = {"type": "PredictorReady", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "wait"}
    assert said(60, conditions=[coming]) == ""
    failed = {"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed", "message": "no such runtime"}
    assert "no such runtime" in said(60, conditions=[ready, failed])
    refused = failed | {"reason": "FailedCreate", "message": "violates PodSecurity"}
    assert "violates PodSecurity" in said(60, conditions=[ready, refused])
    failure = {"lastFailureInfo": {"message": "Waiting for runtime"}}
    assert "Waiting for runtime" in said(60, conditions=[failed], modelStatus=failure)
    failure["lastFailureInfo"]["reason"] = "RuntimeNotRecognized"
    assert "ClusterServingRuntime 'ours'" in said(60, conditions=[failed], modelStatus=failure)
