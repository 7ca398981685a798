"""A gateway in the tests' cluster: Envoy Gateway by its own chart, and the Gateway ``gateways/public``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scripts.cluster import images, settings
from scripts.cluster.node import import_image
from scripts.cluster.outside import Cluster
from tests.cluster.installed_chart import GATEWAY, merged
from tests.deploy.published_definitions import Plain, apply, remove
from tests.waiting import until

if TYPE_CHECKING:
    from kubernetes import client

NAMESPACE, NAME = GATEWAY.split("/")
RELEASE = "envoy-gateway"
_GROUP, _OWN = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
_SECONDS = 120
_SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}}


def definitions(*kinds: str) -> list[dict[str, Any]]:
    """Return the definitions that come with the chart: Gateway API's and its own; of some kinds, or all."""
    files = sorted((settings.gateway() / "chart" / "charts" / "crds" / "crds").rglob("*.yaml"))
    found = [one for file in files for one in yaml.load_all(file.read_text(), Plain) if one]
    found = [one for one in found if one["kind"] == "CustomResourceDefinition"]
    return [one for one in found if not kinds or one["spec"]["names"]["kind"] in kinds]


@contextmanager
def gateway(cluster: Cluster, api: client.ApiClient, port: int) -> Iterator[None]:
    """Let a Gateway take requests as ``install`` does; nothing of it stays."""
    import helm_python as helm
    from kubernetes import client
    from kubernetes.dynamic import DynamicClient

    install(cluster, api, port)
    yield
    kinds = DynamicClient(api).resources
    for one in reversed(_objects()):
        kind = kinds.get(api_version=one["apiVersion"], kind=one["kind"])
        kind.delete(name=NAME, namespace=NAMESPACE)
        until(lambda kind=kind: NAME not in {each.metadata.name for each in kind.get().items}, _SECONDS)
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=NAMESPACE) as signed_in:
        signed_in.uninstall(RELEASE)
    remove(api, definitions())
    core = client.CoreV1Api(api)
    core.delete_namespace(NAMESPACE)  # and wait: other tests make one of the same name
    until(lambda: NAMESPACE not in {one.metadata.name for one in core.list_namespace().items}, _SECONDS)


def install(cluster: Cluster, api: client.ApiClient, port: int) -> None:
    """Let a Gateway take requests at a port of the node, for routes of every namespace."""
    import helm_python as helm
    from kubernetes import client
    from kubernetes.dynamic import DynamicClient

    with tempfile.TemporaryDirectory(prefix="loopline-gateway-") as folder:
        import_image(settings.Place(cluster.folder, ""), images.gateway(Path(folder)))
    apply(api, definitions())
    client.CoreV1Api(api).create_namespace({"metadata": {"name": NAMESPACE}})
    chart = settings.gateway() / "chart"
    usual = yaml.safe_load(chart.joinpath("values.tmpl.yaml").read_text())
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=NAMESPACE) as signed_in:
        signed_in.install(chart, RELEASE, merged(usual, _values(port)))
    kinds = DynamicClient(api).resources
    for one in _objects():
        kind = kinds.get(api_version=one["apiVersion"], kind=one["kind"])
        kind.server_side_apply(body=one, namespace=NAMESPACE, field_manager="tests")
    gateways = kinds.get(api_version=f"{_GROUP}/v1", kind="Gateway")
    until(lambda: _is_programmed(gateways.get(name=NAME, namespace=NAMESPACE).to_dict()), _SECONDS)


def _values(port: int) -> dict[str, Any]:
    """Return what is said over the chart's own values: our image, and a port of the node."""
    image = {"image": images.GATEWAY, "pullPolicy": "Never"}
    listens = {"spec": {"ports": [{"port": 80, "nodePort": port}]}}
    envoys = {
        "envoyService": {"type": "NodePort", "patch": {"type": "StrategicMerge", "value": listens}},
        "envoyDeployment": {"container": {"resources": _SMALL}},
    }
    return {
        "global": {"images": {"envoyGateway": image, "envoyProxy": image}},
        "config": {"envoyGateway": {"envoyProxy": {"provider": {"type": "Kubernetes", "kubernetes": envoys}}}},
        "deployment": {"envoyGateway": {"resources": _SMALL}},
        "topologyInjector": {"enabled": False},
        "crds": {"enabled": False},
    }


def _objects() -> list[dict[str, Any]]:
    """Return what the page on installing asks of a Gateway: routes of all namespaces, and another try elsewhere."""
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    tries = {
        "numRetries": 5,
        "retryOn": {"triggers": ["connect-failure", "refused-stream", "reset"]},
        "perRetry": {"backOff": {"baseInterval": "100ms", "maxInterval": "1s"}},
    }
    to = [{"group": _GROUP, "kind": "Gateway", "name": NAME}]
    return [
        _object(f"{_GROUP}/v1", "GatewayClass", {"controllerName": f"{_OWN}/gatewayclass-controller"}),
        _object(f"{_GROUP}/v1", "Gateway", {"gatewayClassName": NAME, "listeners": [listener]}),
        _object(f"{_OWN}/v1alpha1", "BackendTrafficPolicy", {"targetRefs": to, "retry": tries}),
    ]


def _object(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": NAME}, "spec": spec}


def _is_programmed(found: dict[str, Any]) -> bool:
    conditions = found.get("status", {}).get("conditions", [])
    return any(one["type"] == "Programmed" and one["status"] == "True" for one in conditions)
