"""KServe manifests of an endpoint group: InferenceService, ServingRuntime, PodDisruptionBudget.

All but their form is as on a cluster without KServe: the pod, its probes and its end are ``resources.kubernetes``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.resources.kubernetes.endpoint_manifests import Manifest, budget, labels, named, object_name, pod

if TYPE_CHECKING:
    from loopline.resources.kserve.serving import KServeServing

API, RUNTIME_API = "serving.kserve.io/v1beta1", "serving.kserve.io/v1alpha1"
FORMAT = "loopline"
"""The model format of our own: KServe lets a canary stand beside a model of a runtime, not beside a plain container."""
OWN_RUNTIME = "loopline"
CONTAINER = "kserve-container"
"""What KServe calls the container that answers."""
MODE, SCALER = "serving.kserve.io/deploymentMode", "serving.kserve.io/autoscalerClass"
STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
_MOST_NAME_CHARS = 24


def service_name(group: str) -> str:
    """Turn a group into an InferenceService's name: its host and its Services' names are longer, up to 63 letters."""
    return object_name(group, _MOST_NAME_CHARS)


def manifests(serving: KServeServing, group: str) -> list[Manifest]:
    """Return every object of a group."""
    return [*around(serving, group), *named([_service(serving, group)], serving.namespace, group)]


def around(serving: KServeServing, group: str) -> list[Manifest]:
    """Return what an InferenceService of ours needs beside it; the runtime, where the environment names none."""
    own = [] if serving.runtime else [_runtime(serving)]
    return [*own, *named([budget(group)], serving.namespace, group)]


def predictor(serving: KServeServing, group: str, place: str = "") -> Manifest:
    """Return what KServe makes pods of: our container as the model's, the others beside it.

    ``place`` is where the pods' states are, if not the group's.
    """
    spec = pod(serving, group, place)
    server, *beside = spec["containers"]
    model = {
        **server,
        "name": "",  # KServe names it itself, and refuses any other name
        "modelFormat": {"name": FORMAT},
        "runtime": serving.runtime or OWN_RUNTIME,
        "protocolVersion": "v2",
    }
    metadata = serving.pod_template.metadata({"labels": labels(group)})
    return {**spec, "containers": beside, "model": model, **metadata, "minReplicas": serving.replicas}


def _service(serving: KServeServing, group: str) -> Manifest:
    scaler, scaling = _scaling(serving, group)
    spec = {"predictor": {**predictor(serving, group), **scaling, "deploymentStrategy": STRATEGY}}
    annotations = {MODE: "Standard", SCALER: scaler}
    metadata = {"name": service_name(group), "annotations": annotations}
    return {"apiVersion": API, "kind": "InferenceService", "metadata": metadata, "spec": spec}


def _scaling(serving: KServeServing, group: str) -> tuple[str, Manifest]:
    """Return the autoscaler's class and its part of the predictor: none, by requests underway, or by busy cores."""
    if serving.replicas_max <= serving.replicas:
        return "none", {}
    most = {"maxReplicas": serving.replicas_max}
    if not serving.requests_per_pod:
        return "hpa", {**most, "scaleMetric": "cpu", "scaleTarget": serving.busy_percent}
    pods = f'namespace="{serving.namespace}",pod=~"{service_name(group)}-predictor-.*"'
    metric = {
        "backend": "prometheus",
        "serverAddress": serving.prometheus,
        "query": f"sum(loopline_requests_underway{{{pods}}})",
    }
    target = {"type": "Value", "value": str(serving.requests_per_pod)}  # KEDA's threshold, which it takes for each pod
    metrics: list[dict[str, Any]] = [{"type": "External", "external": {"metric": metric, "target": target}}]
    return "keda", {**most, "autoScaling": {"metrics": metrics}}


def _runtime(serving: KServeServing) -> Manifest:
    """Return the runtime of our format; each InferenceService says image, command and resources itself."""
    container = {"name": CONTAINER, "image": serving.image}
    spec = {
        "supportedModelFormats": [{"name": FORMAT, "version": "1", "autoSelect": False}],
        "protocolVersions": ["v2", "grpc-v2"],
        "containers": [container],
    }
    metadata = {"name": OWN_RUNTIME, "namespace": serving.namespace}
    return {"apiVersion": RUNTIME_API, "kind": "ServingRuntime", "metadata": metadata, "spec": spec}
