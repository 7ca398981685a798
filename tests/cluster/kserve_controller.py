"""What KServe's controller does in Standard mode, as far as Loopline's vendor asks for it.

It turns InferenceServices into Deployments, Services and weighted HTTPRoutes, by KServe 0.21's rules: names of parts,
how a runtime's container and a predictor's become one, which notes of an InferenceService its pods bear, how many pods
a canary has, who gets which weight and when, what goes when a predictor is named otherwise, what the status says. The
real one was run beside it. Autoscalers, storage initialisers, loggers, webhooks and gateways of KServe's own are not
here.
"""

from __future__ import annotations

import copy
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kubernetes import client
from kubernetes.dynamic import DynamicClient

from tests.cluster import gateway

Object = dict[str, Any]
CONTAINER = "kserve-container"
SCALER = "serving.kserve.io/autoscalerClass"
FINALIZER = "inferenceservice.finalizers"
SERVICE_LABEL = "serving.kserve.io/inferenceservice"
DOMAIN = "example.com"
PERIOD_SECONDS = 0.3
_SCALED = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling")
_OF_KSERVE = {*_SCALED, "model", "name", "labels", "annotations", "minReplicas", "deploymentStrategy", "logger"}
_FIELDS_OF_THE_MODEL = {"modelFormat", "runtime", "protocolVersion", "storageUri", "runtimeVersion", "storage"}

INGRESS = {"namespace": gateway.NAMESPACE, "name": gateway.NAME}
"""The Gateway that routes name, as the ConfigMap of KServe's own controller would say."""


class KServeController:
    """Looks after the InferenceServices of a namespace; ``step`` is one look at all of them.

    Where ``has_gateway`` an InferenceService is ready once the Gateway has taken its routes.
    """

    def __init__(self, api: client.ApiClient, namespace: str, *, has_gateway: bool = False) -> None:
        self._has_gateway = has_gateway
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
        self._routed: set[str] = set()

    def step(self) -> None:
        """Look at every InferenceService once."""
        for found in self._services.get(namespace=self._namespace).items:
            one = found.to_dict()
            if not self._goes(one):
                self._say(one, self._reconcile(one))

    def forget(self, but: str) -> None:
        """Delete every InferenceService but one; what was made of them goes with them."""
        for one in self._services.get(namespace=self._namespace).items:
            if one.metadata.name != but:
                with suppress(client.ApiException):  # it may have gone meanwhile
                    self._services.delete(name=one.metadata.name, namespace=self._namespace)

    def let_all_go(self) -> None:
        """Hold no InferenceService any more: nobody looks after them."""
        for one in self._services.get(namespace=self._namespace).items:
            self._hold(one.metadata.name, [])

    def _goes(self, one: Object) -> bool:
        """Say whether an InferenceService is deleted, which this controller lets happen; the others it holds."""
        metadata = one["metadata"]
        goes = bool(metadata.get("deletionTimestamp"))
        if goes:
            self._routed.discard(metadata["name"])
        wanted = [] if goes else [FINALIZER]
        if (metadata.get("finalizers") or []) != wanted:
            self._hold(metadata["name"], wanted)
        return goes

    def _hold(self, name: str, finalizers: list[str]) -> None:
        body, kind = {"metadata": {"name": name, "finalizers": finalizers}}, "application/merge-patch+json"
        with suppress(client.ApiException):  # it may be gone
            self._services.patch(body=body, namespace=self._namespace, content_type=kind)

    def _reconcile(self, one: Object) -> Object:
        """Make what an InferenceService asks for, and return its status."""
        spec, name = one["spec"], one["metadata"]["name"]
        before: Object = one.get("status") or {"conditions": [{"type": "Ready", "status": "Unknown"}]}
        try:
            parts = [(self._name(name, spec["predictor"]), spec["predictor"], None)]
            for canary in spec.get("canary", []):
                merged = canary_predictor(spec["predictor"], canary)
                parts.append((self._name(name, merged), merged, canary))
            runtimes = {part: self._runtime(predictor) for part, predictor, _ in parts}
        except LookupError as error:
            reason, message = error.args
            failed = {"reason": reason, "message": message}
            return {**before, "modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": failed}}
        statuses, taken = [], 0
        for part, predictor, canary in parts[1:]:
            self._apply_part(one, part, predictor, runtimes[part], predictor["minReplicas"])
            ready = bool(self._deployed(part).available_replicas)
            taken += predictor["minReplicas"] if ready else 0
            statuses.append(
                {"name": canary["predictor"]["name"], "ready": ready, "trafficPercent": canary["trafficPercent"]}
            )
        part, predictor, _ = parts[0]
        wanted = predictor.get("minReplicas", 1)
        self._apply_part(one, part, predictor, runtimes[part], max(wanted - taken, 1) if taken else wanted)
        self._clean(name, {part for part, _, _ in parts})
        deployed = self._deployed(part)
        stable = _ready(deployed)
        if stable["status"] == "True":  # while it is not, routes stay as they are
            self._routed.add(name)
            for route in _routes(one, self._weights(one, statuses), _grpc_port(runtimes[part], predictor)):
                self._apply(route)
        conditions = [stable, {"type": "IngressReady", "status": str(self._is_routed(name))}]
        ready = all(each["status"] == "True" for each in conditions)  # whatever canaries are
        conditions += [{"type": "Ready", "status": str(ready)}, {"type": "Stopped", "status": "False"}]
        if statuses:
            every = {"type": "CanaryPredictorReady", "status": str(all(said["ready"] for said in statuses))}
            conditions.append(every)
        copies = {"failedCopies": 0, "totalCopies": deployed.ready_replicas or 0}
        return {
            "deploymentMode": "Standard",
            "conditions": conditions,
            "canaryStatuses": statuses,
            "modelStatus": {"copies": copies},
        }

    def _is_routed(self, name: str) -> bool:
        """Say whether a service's route is there, as it is now, for whoever carries requests by it."""
        if name not in self._routed or not self._has_gateway:
            return name in self._routed
        route = self._kinds["HTTPRoute"].get(name=name, namespace=self._namespace).to_dict()
        said = [one for parent in route.get("status", {}).get("parents", []) for one in parent["conditions"]]
        taken = {one["type"] for one in said if one["status"] == "True" and _is_of(one, route)}
        return {"Accepted", "ResolvedRefs"} <= taken

    def _runtime(self, predictor: Object) -> Object:
        wanted = predictor["model"]["runtime"]
        for one in self._runtimes.get(namespace=self._namespace).items:
            if one.metadata.name == wanted:
                spec: Object = one.to_dict()["spec"]
                formats = {each["name"] for each in spec["supportedModelFormats"]}
                if predictor["model"]["modelFormat"]["name"] not in formats:
                    words = "Specified runtime does not support specified framework/version"
                    raise LookupError("NoSupportingRuntime", words)
                return spec
        raise LookupError("RuntimeNotRecognized", "Waiting for runtime to become available")

    def _apply_part(self, one: Object, part: str, predictor: Object, runtime: Object, replicas: int) -> None:
        spec = {name: value for name, value in predictor.items() if name not in _OF_KSERVE}
        given = {name: value for name, value in predictor["model"].items() if name not in _FIELDS_OF_THE_MODEL}
        server = {**_container(runtime), **given, "name": CONTAINER}
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
        noted = {**one["metadata"].get("annotations", {}), **predictor.get("annotations", {})}
        metadata = {"name": part, "namespace": self._namespace, "labels": labels, "annotations": noted}
        metadata["ownerReferences"] = [_owner(one)]
        is_stable = predictor.get("name") == one["spec"]["predictor"].get("name")
        deployment = {
            "selector": {"matchLabels": select},
            "strategy": predictor.get("deploymentStrategy", {}) if is_stable else {},
            "template": {"metadata": {"labels": labels, "annotations": noted}, "spec": spec},
        }
        if noted.get(SCALER) == "none":
            deployment["replicas"] = replicas
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

    def _deployed(self, part: str) -> client.V1DeploymentStatus:
        try:
            return self._apps.read_namespaced_deployment(part, self._namespace).status
        except client.ApiException:
            return client.V1DeploymentStatus()

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

    def _weights(self, one: Object, statuses: list[Object]) -> list[tuple[str, int]]:
        """Give the stable part what canaries that are ready leave."""
        ready = {said["name"] for said in statuses if said["ready"]}
        name, spec = one["metadata"]["name"], one["spec"]
        canaries = [each for each in spec.get("canary", []) if each["predictor"]["name"] in ready]
        shares = [(self._name(name, each["predictor"]), each["trafficPercent"]) for each in canaries]
        return [(self._name(name, spec["predictor"]), 100 - sum(share for _, share in shares)), *shares]

    def _say(self, one: Object, status: Object) -> None:
        if one.get("status") == status:
            return
        with suppress(client.ApiException):  # it may be gone, or another one: the next look says it
            self._services.status.replace(body={**one, "status": status}, namespace=self._namespace)

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


def _ready(deployed: client.V1DeploymentStatus) -> Object:
    """Return whether a predictor is ready, as its Deployment says: available is one of which no pod is missing."""
    said = {one.type: one for one in deployed.conditions or ()}
    available, progressing = said.get("Available"), said.get("Progressing")
    failed = said.get("ReplicaFailure")
    if failed and failed.status == "True":
        found, status = failed, "False"
    elif available and available.status == "False":
        found, status = available, "False"
    elif progressing and progressing.status == "False":
        found, status = progressing, "False"
    else:
        found, status = available or progressing, "True" if available else "Unknown"
    words = {"reason": found.reason, "message": found.message} if found else {}
    return {"type": "PredictorReady", "status": status, **words}


def _container(runtime: Object) -> Object:
    (found,) = (each for each in runtime["containers"] if each["name"] == CONTAINER)
    return dict(found)


def _grpc_port(runtime: Object, predictor: Object) -> int:
    ports = {**_container(runtime), **predictor["model"]}["ports"]
    return next((port["containerPort"] for port in ports if "grpc" in port["name"]), 0)


def _is_of(condition: Object, found: Object) -> bool:
    """Say whether a condition is of an object as it is now."""
    return bool(condition.get("observedGeneration") == found["metadata"]["generation"])


def _routes(one: Object, weights: list[tuple[str, int]], grpc_port: int) -> list[Object]:
    """Return the routes of an InferenceService's host and of its predictor's; both weigh alike."""
    metadata = one["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]

    def rule(path: str, port: int, headers: list[Object]) -> Object:
        behind = [
            {"kind": "Service", "name": part, "namespace": namespace, "port": port, "weight": weight}
            for part, weight in weights
        ]
        match = {"path": {"type": "RegularExpression", "value": path}} | ({"headers": headers} if headers else {})
        return {"matches": [match], "backendRefs": behind, "timeouts": {"request": "60s"}}

    grpc = {"type": "RegularExpression", "name": "content-type", "value": "^application/grpc.*"}
    rules = [rule("^/inference\\.GRPCInferenceService/.*$", grpc_port, [grpc])] if grpc_port else []
    rules.append(rule("^/.*$", 80, []))
    made = []
    for route in (f"{name}-predictor", name):
        described = {"name": route, "namespace": namespace, "ownerReferences": [_owner(one)]}
        described["annotations"] = metadata.get("annotations", {})
        spec = {"parentRefs": [INGRESS], "hostnames": [host(route, namespace)], "rules": rules}
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
        made.append({**kind, "metadata": described, "spec": spec})
    return made


@contextmanager
def controlling(controller: KServeController) -> Iterator[list[BaseException]]:
    """Let a controller look again and again. Gives what went wrong last."""
    ended, wrong = threading.Event(), []

    def run() -> None:
        while not ended.is_set():
            try:
                controller.step()
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
        controller.let_all_go()
