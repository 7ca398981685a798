"""Kubernetes manifests of an endpoint group: Deployment, Service, PodDisruptionBudget, routes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.serving import IMAGE_VARIABLE, ServerImages
from loopline.resources.kubernetes import server_images
from loopline.resources.kubernetes.names import SERVING
from loopline.resources.kubernetes.quantities import cores, gigabytes
from loopline.resources.object_store.grouped import GROUP_VARIABLE

if TYPE_CHECKING:
    from loopline.resources.kubernetes.pod_serving import PodServing
    from loopline.resources.kubernetes.serving import KubernetesServing

Manifest = dict[str, Any]
GROUP = "loopline.dev/endpoint-group"
HTTP_PORT, GRPC_PORT = 8080, 8081
ROOT = "/var/lib/loopline/serving"
BUDGET = "policy/v1 PodDisruptionBudget"
KINDS = ("autoscaling/v2 HorizontalPodAutoscaler", "apps/v1 Deployment", "v1 Service", BUDGET)
"""Of which kinds an endpoint group's objects are."""
_ENVIRONMENT = "/etc/loopline/environment.yaml"
_SCRATCH = "/tmp"  # noqa: S108 - the pod's own
_MOST_NAME_CHARS = 40
_STARTS_SECONDS = 600
_DRAIN_SECONDS = 90
_UNROUTED_SECONDS = 15
"""How long a pod goes on answering when it is to end, until every proxy knows that."""


def object_name(group: str, most: int = _MOST_NAME_CHARS) -> str:
    """Turn a group into a name for objects, of ``most`` of its letters.

    What cannot be in one is replaced or cut off, and then a hash tells groups apart.
    """
    words = re.sub(r"[^a-z0-9]+", "-", group.lower())[:most].strip("-")
    return (
        f"loopline-{words}" if words == group else f"loopline-{words}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"
    )


def labels(group: str) -> dict[str, str]:
    """Return what selects a group's pods."""
    return {**SERVING, "app.kubernetes.io/instance": object_name(group)}


def manifests(serving: KubernetesServing, group: str, model: str, images: ServerImages | None = None) -> list[Manifest]:
    """Return every object of a group, its Deployment first, and the route of a model of it."""
    images = images or ServerImages(serving.image, serving.image)
    found = [_deployment(serving, group, images), _service(group), budget(group)]
    if serving.replicas_max > serving.replicas:
        found.append(_autoscaler(serving, group))
    if serving.http_gateway:
        found.append(_route(serving, group, model))
    return named(found, serving.namespace, group)


def named(objects: list[Manifest], namespace: str, group: str) -> list[Manifest]:
    """Put objects into a namespace, and say on each of which group it is."""
    for one in objects:
        said = {**one["metadata"].get("annotations", {}), GROUP: group}
        one["metadata"].update(namespace=namespace, labels=labels(group), annotations=said)
    return objects


def _deployment(serving: KubernetesServing, group: str, images: ServerImages) -> Manifest:
    serving = serving.model_copy(update={"image": images.candidate or images.stable})
    spec: Manifest = {
        "selector": {"matchLabels": labels(group)},
        "minReadySeconds": serving.min_ready_seconds,
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": serving.pod_template.metadata({"labels": labels(group)}),
            "spec": pod(serving, group),
        },
    }
    if serving.replicas_max <= serving.replicas:  # otherwise the number is the autoscaler's
        spec["replicas"] = serving.replicas
    found = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": object_name(group)}, "spec": spec}
    return server_images.laid(found, images)


def pod(serving: PodServing, group: str, place: str = "") -> Manifest:
    """Return a pod's spec, the server's container first; ``place`` is where its states are, if not the group's.

    The relay begins before the server and ends after it; they share process ids, by which they know each other.
    """
    own = {
        **placement(serving, group),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": _DRAIN_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": serving.user,
            "runAsUser": serving.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_relay(serving, place or group)],
        "containers": [_server(serving, place or group), _shadow(serving, place or group)],
        "volumes": [
            {"name": "serving", "emptyDir": {"sizeLimit": gigabytes(serving.disk_gb)}},
            {"name": "scratch", "emptyDir": {"sizeLimit": gigabytes(1)}},
            {"name": "environment", "configMap": {"name": serving.environment_map}},
            *(_secret(number, name) for number, name in enumerate(serving.secrets)),
        ],
    }
    return serving.pod_template.spec(own)


def placement(serving: PodServing, group: str) -> Manifest:
    """Return as whom, where and how far apart a group's pods run."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(group)},
    }
    found: Manifest = {
        "serviceAccountName": serving.service_account,
        "nodeSelector": dict(serving.node_selector),
        "tolerations": list(serving.tolerations),
        "topologySpreadConstraints": [spread],
        "imagePullSecrets": [{"name": name} for name in serving.image_pull_secrets],
    }
    if serving.priority_class:
        found["priorityClassName"] = serving.priority_class
    return found


def resources(serving: PodServing) -> Manifest:
    """Return what a container that answers asks for, and may have."""
    hard = {"memory": gigabytes(serving.memory_gb)} | ({serving.gpu_resource: str(serving.gpu)} if serving.gpu else {})
    return {"requests": {"cpu": cores(serving.cpu), **hard}, "limits": hard}


def _server(serving: PodServing, group: str) -> Manifest:
    health = {"port": HTTP_PORT, "scheme": "HTTPS" if serving.tls else "HTTP"}
    found = _container(serving, group, "server", "loopline.inference_server", "--workers", str(serving.workers))
    return found | {
        "ports": [{"name": "http", "containerPort": HTTP_PORT}, {"name": "grpc", "containerPort": GRPC_PORT}],
        "resources": resources(serving),
        "startupProbe": {
            "httpGet": {"path": "/v2/health/ready", **health},
            "periodSeconds": 1,
            "failureThreshold": _STARTS_SECONDS,
        },
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", **health}, "periodSeconds": 2, "timeoutSeconds": 2},
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", **health},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": _UNROUTED_SECONDS}}},
    }


def _shadow(serving: PodServing, group: str) -> Manifest:
    found = _container(serving, group, "shadow", "loopline.platform_core.runtime.shadow")
    memory = gigabytes(serving.memory_gb)
    return found | {"resources": {"requests": {"cpu": "10m", "memory": memory}, "limits": {"memory": memory}}}


def _relay(serving: PodServing, group: str) -> Manifest:
    """Start before the servers, which find their states then, and go on until they have ended."""
    drain = str(_DRAIN_SECONDS - 2 * _UNROUTED_SECONDS)
    found = _container(serving, group, "relay", "loopline.relay", "--server", "$(POD)", "--drain-seconds", drain)
    carried = f"import os, sys; sys.exit(not os.path.exists('{ROOT}/carried'))"
    memory = gigabytes(0.25)
    return found | {
        "restartPolicy": "Always",
        "resources": {"requests": {"cpu": "20m", "memory": memory}, "limits": {"memory": memory}},
        "startupProbe": {
            "exec": {"command": [serving.python, "-S", "-c", carried]},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
            "failureThreshold": _STARTS_SECONDS,
        },
    }


def _container(serving: PodServing, group: str, name: str, module: str, *arguments: str) -> Manifest:
    known = {GROUP_VARIABLE: group, IMAGE_VARIABLE: serving.image}
    variables = {**known, "HOME": _SCRATCH, "LOOPLINE_HOME": f"{_SCRATCH}/loopline", **serving.env}
    pod = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return {
        "name": name,
        "image": serving.image,
        "imagePullPolicy": serving.image_pull_policy,
        "command": [serving.python, "-m", module, "--environment", _ENVIRONMENT, *arguments],
        "env": [
            pod,
            *(one for one in _entries(serving, name) if one["name"] not in variables),
            *({"name": key, "value": value} for key, value in variables.items()),
        ],
        "envFrom": [{"secretRef": {"name": one}} for one in serving.environment_from if isinstance(one, str)],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "serving", "mountPath": ROOT},
            {"name": "scratch", "mountPath": _SCRATCH},
            {"name": "environment", "mountPath": "/etc/loopline", "readOnly": True},
            *(
                {"name": f"secret-{number}", "mountPath": path, "readOnly": True}
                for number, path in enumerate(serving.secrets.values())
            ),
        ],
    }


def _entries(serving: PodServing, container: str) -> Iterator[Manifest]:
    """Yield the variables that are single entries of Secrets."""
    for one in serving.environment_from:
        if not isinstance(one, str) and (not one.containers or container in one.containers):
            for key in one.entries:
                place = {"name": one.name, "key": key} | ({"optional": True} if one.optional else {})
                yield {"name": key, "valueFrom": {"secretKeyRef": place}}


def _secret(number: int, name: str) -> Manifest:
    """Mount a Secret's entries as files, which only the pod's user and its group read."""
    return {"name": f"secret-{number}", "secret": {"secretName": name, "defaultMode": 0o440}}


def _service(group: str) -> Manifest:
    ports = [
        {"name": "http", "port": HTTP_PORT, "targetPort": "http"},
        {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"},
    ]
    spec = {"selector": labels(group), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": object_name(group)}, "spec": spec}


def budget(group: str) -> Manifest:
    """Return what keeps all pods of a group from being drained at once."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(group)}}
    name = {"name": object_name(group)}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": name, "spec": spec}


def _autoscaler(serving: KubernetesServing, group: str) -> Manifest:
    busy = {"type": "Utilization", "averageUtilization": serving.busy_percent}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object_name(group)},
        "minReplicas": serving.replicas,
        "maxReplicas": serving.replicas_max,
        "metrics": [
            {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "server", "target": busy}}
        ],
    }
    name = {"name": object_name(group)}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": name, "spec": spec}


def _route(serving: KubernetesServing, group: str, model: str) -> Manifest:
    """Send a model's requests to its group; a gateway is ``namespace/name``."""
    namespace, _, name = serving.http_gateway.rpartition("/")
    parent = {"name": name} | ({"namespace": namespace} if namespace else {})
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/v2/models/{model}"}}],
        "backendRefs": [{"name": object_name(group), "port": HTTP_PORT}],
    }
    names = {"hostnames": list(serving.hostnames)} if serving.hostnames else {}
    spec = {"parentRefs": [parent], **names, "rules": [rule]}
    route = {"name": route_name(model)}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": route, "spec": spec}


def route_name(model: str) -> str:
    """Return the name of a model's route."""
    return object_name(f"{model}-route")
