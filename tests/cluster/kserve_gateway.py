"""The tests' gateway in a pod of the node, and what tells it where requests go."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

from kubernetes import client

from scripts.cluster import images
from scripts.cluster.python_layer import interpreter
from tests.cluster.kserve_controller import KServeController, Routes
from tests.cluster.kubernetes_cluster import GATEWAY_PORT

_SECONDS = 60


class Gateway:
    """Tells the gateway of routes whenever they change: each Service by its address inside the cluster."""

    def __init__(self, url: str, controller: KServeController) -> None:
        self._url, self._controller = url, controller
        self._told = b""

    def __call__(self, routes: Routes) -> None:
        """Tell it, and return once it has taken them."""
        addresses = {
            host: [[f"{self._controller.address(service)}:80", weight] for service, weight in behind if weight]
            for host, behind in routes.items()
        }
        body = json.dumps(addresses, sort_keys=True).encode()
        if body != self._told:
            tell(self._url, body)
            self._told = body


def run_gateway(core: client.CoreV1Api, name: str = "gateway", port: int = GATEWAY_PORT) -> None:
    """Run the gateway on the node's own network, and wait until it runs; one that runs already goes on."""
    if any(pod.metadata.name == name for pod in core.list_namespaced_pod("default").items):
        return
    script = Path(__file__).with_name("weighted_gateway.py").read_text()
    core.create_namespaced_config_map("default", {"metadata": {"name": name}, "data": {"gateway.py": script}})
    container = {
        "name": "gateway",
        "image": images.NAME,
        "imagePullPolicy": "Never",
        "command": [str(interpreter()), "/scripts/gateway.py", str(port)],
        "volumeMounts": [{"name": "scripts", "mountPath": "/scripts"}],
    }
    volumes = [{"name": "scripts", "configMap": {"name": name}}]
    spec = {"hostNetwork": True, "containers": [container], "volumes": volumes}
    core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})
    end = time.monotonic() + _SECONDS
    while core.read_namespaced_pod(name, "default").status.phase != "Running":
        assert time.monotonic() < end, core.read_namespaced_pod(name, "default").status
        time.sleep(0.2)  # between two looks


def tell(url: str, body: bytes) -> None:
    """Tell a gateway of routes; returns once it has taken them."""
    request = urllib.request.Request(f"{url}/-/routes", body, method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
