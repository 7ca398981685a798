"""What KServe's controller does in Standard mode, as far as Loopline's vendor asks for it.

It turns InferenceServices into Deployments, Services and weighted HTTPRoutes, by KServe 0.21's rules: names of parts,
how a runtime's container and a predictor's become one, how many pods a canary has, who gets which weight and when, what
goes when a predictor is named otherwise. Webhooks refuse here what they refuse there, as far as our objects could.
Autoscalers, storage initialisers, loggers and gateways of KServe's own are not here.
"""

from __future__ import annotations

import copy
import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kubernetes import client
from kubernetes.dynamic import DynamicClient

Object = dict[str, Any]
CONTAINER = "kserve-container"
SERVICE_LABEL = "serving.kserve.io/inferenceservice"
DOMAIN = "example.com"
PERIOD_SECONDS = 0.3
_SCALED = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling")
_OF_KSERVE = {*_SCALED, "model", "name", "labels", "annotations", "minReplicas", "deploymentStrategy", "logger"}
_FIELDS_OF_THE_MODEL = {"modelFormat", "runtime", "protocolVersion", "storageUri", "runtimeVersion", "storage"}


Routes = dict[str, list[tuple[str, int]]]
"""Hosts, and the Services behind each with their weights."""


def _nowhere(_: Routes) -> None:
    """Have no gateway."""


class KServeController:
    """Looks after the InferenceServices of a namespace; ``step`` is one look at all of them."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._namespace, self._core, self._apps = namespace, client.CoreV1Api(api), client.AppsV1Api(api)
        dynamic = DynamicClient(api)
        self._services = dynamic.resources.get(api_version="serving.kserve.io/v1beta1", kind="InferenceService")
        self._runtimes = dynamic.resources.get(api_version="serving.kserve.io/v1alpha1", kind="ServingRuntime")
        self._kinds = {
            "Deployment": dynamic.resources.get(api_version="apps/v1", kind="Deployment"),
            "Service": dynamic.resources.get(api_version="v1", kind="Service"),
            "HTTPRoute": dynamic.resources.get(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute"),
        }
        self._put: dict[tuple[str, str], str] = {}
        self._addresses: dict[str, str] = {}

    def step(self, gateway: Callable[[Routes], None] = _nowhere) -> None:
        """Look at every InferenceService once; ``gateway`` is told each host's Services and their weights first."""
        routes: Routes = {}
        said: list[tuple[Object, Object]] = []
        for found in self._services.get(namespace=self._namespace).items:
            one = found.to_dict()
            status = self._reconcile(one)
            ready = all(each["status"] == "True" for each in status["conditions"])
            status["conditions"].append({"type": "Ready", "status": str(ready)})
            said.append((one, status))
            if _stable_ready(status):
                routes[host(one["metadata"]["name"], self._namespace)] = self._weights(one, status)
        gateway(routes)
        for one, status in said:
            self._say(one, status)

    def forget(self, but: str) -> None:
        """Delete every InferenceService but one; what was made of them goes with them."""
        for one in self._services.get(namespace=self._namespace).items:
            if one.metadata.name != but:
                self._services.delete(name=one.metadata.name, namespace=self._namespace)

    def address(self, service: str) -> str:
        """Return a Service's address inside the cluster; none any more, where it has gone."""
        if service not in self._addresses:
            try:
                self._addresses[service] = self._core.read_namespaced_service(service, self._namespace).spec.cluster_ip
            except client.ApiException:
                return "0.0.0.0"
        return self._addresses[service]

    def _reconcile(self, one: Object) -> Object:
        """Make what an InferenceService asks for, and return its status."""
        spec, name = one["spec"], one["metadata"]["name"]
        status: Object = {"deploymentMode": "Standard"}
        try:
            parts = [(self._name(name, spec["predictor"]), spec["predictor"], None)]
            for canary in spec.get("canary", []):
                merged = canary_predictor(spec["predictor"], canary)
                parts.append((self._name(name, merged), merged, canary))
            runtimes = {part: self._runtime(predictor) for part, predictor, _ in parts}
        except LookupError as error:
            failed = {"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed", "message": str(error)}
            return {**status, "conditions": [failed], "modelStatus": {"transitionStatus": "InvalidSpec"}}
        statuses, taken = [], 0
        for part, predictor, canary in parts[1:]:
            self._apply_part(one, part, predictor, runtimes[part], predictor["minReplicas"])
            ready = self._available(part)
            taken += predictor["minReplicas"] if ready else 0
            statuses.append(
                {"name": canary["predictor"]["name"], "ready": ready, "trafficPercent": canary["trafficPercent"]}
            )
        part, predictor, _ = parts[0]
        wanted = predictor.get("minReplicas", 1)
        self._apply_part(one, part, predictor, runtimes[part], max(wanted - taken, 1) if taken else wanted)
        self._clean(name, {part for part, _, _ in parts})
        stable = {"type": "PredictorReady", "status": str(self._available(part))}
        conditions = [stable]
        if statuses:
            every = {"type": "CanaryPredictorReady", "status": str(all(said["ready"] for said in statuses))}
            conditions.append(every)
        status |= {"conditions": conditions, "canaryStatuses": statuses}
        if stable["status"] == "True":
            self._apply(_route(one, self._weights(one, status)))
            conditions.append({"type": "IngressReady", "status": "True"})
        return status

    def _runtime(self, predictor: Object) -> Object:
        wanted = predictor["model"]["runtime"]
        for one in self._runtimes.get(namespace=self._namespace).items:
            if one.metadata.name == wanted:
                spec: Object = one.to_dict()["spec"]
                formats = {each["name"] for each in spec["supportedModelFormats"]}
                if predictor["model"]["modelFormat"]["name"] not in formats:
                    raise LookupError(f"runtime {wanted} does not support the format")
                return spec
        raise LookupError(f"No ServingRuntimes or ClusterServingRuntimes with the name: {wanted}")

    def _apply_part(self, one: Object, part: str, predictor: Object, runtime: Object, replicas: int) -> None:
        spec = {name: value for name, value in predictor.items() if name not in _OF_KSERVE}
        given = {name: value for name, value in predictor["model"].items() if name not in _FIELDS_OF_THE_MODEL}
        (container,) = (each for each in runtime["containers"] if each["name"] == CONTAINER)
        server = {**container, **given, "name": CONTAINER}
        server["env"] = [*server.get("env", []), {"name": "INFERENCE_SERVICE_NAME", "value": one["metadata"]["name"]}]
        spec["containers"] = [server, *predictor.get("containers", [])]
        labels = {
            **one["metadata"].get("labels", {}),
            **predictor.get("labels", {}),
            SERVICE_LABEL: one["metadata"]["name"],
            "component": "predictor",
            "app": f"isvc.{part}",
        }
        select = {"app": f"isvc.{part}"}
        metadata = {"name": part, "namespace": self._namespace, "labels": labels, "ownerReferences": [_owner(one)]}
        deployment = {
            "replicas": replicas,
            "selector": {"matchLabels": select},
            "strategy": predictor.get("deploymentStrategy", {}),
            "template": {"metadata": {"labels": labels}, "spec": spec},
        }
        self._apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment})
        ports = [_port(each, first=n == 0) for n, each in enumerate(server["ports"])]
        service = {"selector": select, "ports": ports}
        self._apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})

    def _apply(self, manifest: Object) -> None:
        key, text = (manifest["kind"], manifest["metadata"]["name"]), json.dumps(manifest, sort_keys=True)
        if self._put.get(key) == text:
            return
        kind = self._kinds[manifest["kind"]]
        kind.server_side_apply(body=manifest, field_manager="kserve", force_conflicts=True)
        self._put[key] = text

    def _available(self, part: str) -> bool:
        try:
            status = self._apps.read_namespaced_deployment(part, self._namespace).status
        except client.ApiException:
            return False
        return bool(status.available_replicas)

    def _clean(self, name: str, wanted: set[str]) -> None:
        """Take away parts that an InferenceService has no more, as KServe does: at once."""
        selector = f"{SERVICE_LABEL}={name},component=predictor"
        for one in self._apps.list_namespaced_deployment(self._namespace, label_selector=selector).items:
            if one.metadata.name not in wanted:
                self._apps.delete_namespaced_deployment(one.metadata.name, self._namespace)
                self._put.pop(("Deployment", one.metadata.name), None)
        for one in self._core.list_namespaced_service(self._namespace, label_selector=selector).items:
            if one.metadata.name not in wanted:
                self._core.delete_namespaced_service(one.metadata.name, self._namespace)
                self._put.pop(("Service", one.metadata.name), None)
                self._addresses.pop(one.metadata.name, None)

    def _weights(self, one: Object, status: Object) -> list[tuple[str, int]]:
        """Give the stable part what canaries that are ready leave."""
        ready = {said["name"] for said in status.get("canaryStatuses", []) if said["ready"]}
        name, spec = one["metadata"]["name"], one["spec"]
        canaries = [each for each in spec.get("canary", []) if each["predictor"]["name"] in ready]
        shares = [(self._name(name, each["predictor"]), each["trafficPercent"]) for each in canaries]
        return [(self._name(name, spec["predictor"]), 100 - sum(share for _, share in shares)), *shares]

    def _say(self, one: Object, status: Object) -> None:
        if one.get("status") == status:
            return
        body = {"metadata": {"name": one["metadata"]["name"]}, "status": status}
        kind = "application/merge-patch+json"
        with suppress(client.ApiException):  # it may be gone
            self._services.status.patch(body=body, namespace=self._namespace, content_type=kind)

    @staticmethod
    def _name(service: str, predictor: Object) -> str:
        return "-".join(word for word in (service, predictor.get("name", ""), "predictor") if word)


def host(service: str, namespace: str) -> str:
    """Return the host under which KServe's route takes an InferenceService's requests."""
    return f"{service}-{namespace}.{DOMAIN}"


def canary_predictor(stable: Object, canary: Object) -> Object:
    """Put a canary's predictor over the stable one's: what it leaves out is as there, lists are its own."""
    merged = _over(copy.deepcopy(stable), canary["predictor"])
    for name in _SCALED:
        merged.pop(name, None)
    share = math.ceil(stable.get("minReplicas", 1) * canary["trafficPercent"] / 100)
    return {**merged, "minReplicas": canary["predictor"].get("minReplicas", share)}


def _over(below: Object, above: Object) -> Object:
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            below[name] = _over(below[name], value)
        elif value not in ("", None, [], {}, 0):
            below[name] = value
    return below


def _port(port: Object, *, first: bool) -> Object:
    grpc = {"appProtocol": "kubernetes.io/h2c"} if "grpc" in port["name"] or "h2c" in port["name"] else {}
    number = port["containerPort"]
    return {"name": port["name"], "port": 80 if first else number, "targetPort": number, "protocol": "TCP", **grpc}


def _owner(one: Object) -> Object:
    """Return what lets Kubernetes delete an object with its InferenceService."""
    named = {"name": one["metadata"]["name"], "uid": one["metadata"]["uid"]}
    return {"apiVersion": one["apiVersion"], "kind": "InferenceService", "controller": True, **named}


def _stable_ready(status: Object) -> bool:
    return any(said["type"] == "PredictorReady" and said["status"] == "True" for said in status["conditions"])


def _route(one: Object, weights: list[tuple[str, int]]) -> Object:
    name, namespace = one["metadata"]["name"], one["metadata"]["namespace"]
    behind = [{"kind": "Service", "name": part, "port": 80, "weight": weight} for part, weight in weights]
    spec = {"hostnames": [host(name, namespace)], "rules": [{"backendRefs": behind}]}
    metadata = {"name": name, "namespace": namespace, "ownerReferences": [_owner(one)]}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


@contextmanager
def controlling(
    controller: KServeController, gateway: Callable[[Routes], None] = _nowhere
) -> Iterator[list[BaseException]]:
    """Let a controller look again and again; ``gateway`` is told where requests go. Gives what went wrong last."""
    ended, wrong = threading.Event(), []

    def run() -> None:
        while not ended.is_set():
            try:
                controller.step(gateway)
            except (client.ApiException, OSError) as error:  # the next look may meet a better moment
                wrong[:] = [error]
            ended.wait(PERIOD_SECONDS)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join(30)
