"""A gateway's controller of the tests: HTTPRoutes of a namespace, and the ready pods behind each."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kubernetes import client

from tests.cluster.kserve_gateway import tell

PERIOD_SECONDS = 0.3
_ROUTES = ("gateway.networking.k8s.io", "v1")


class ModelRoutes:
    """Tells a gateway which pods are behind each path; it leaves out those that are not ready, or are to end."""

    def __init__(self, api: client.ApiClient, namespace: str, gateway: str) -> None:
        self._custom, self._discovery = client.CustomObjectsApi(api), client.DiscoveryV1Api(api)
        self._namespace, self._gateway = namespace, gateway
        self._told = b""

    def step(self) -> None:
        """Look once."""
        found = self._custom.list_namespaced_custom_object(*_ROUTES, self._namespace, "httproutes")["items"]
        rules = [rule for route in found for rule in route["spec"]["rules"]]
        routes = {
            match["path"]["value"]: [address for to in rule["backendRefs"] for address in self._ready(to)]
            for rule in rules
            for match in rule["matches"]
        }
        body = json.dumps(routes, sort_keys=True).encode()
        if body != self._told:
            tell(self._gateway, body)
            self._told = body

    def _ready(self, to: dict[str, Any]) -> list[tuple[str, int]]:
        selector = f"kubernetes.io/service-name={to['name']}"
        slices = self._discovery.list_namespaced_endpoint_slice(self._namespace, label_selector=selector).items
        return sorted(
            (f"{address}:{to['port']}", 1)
            for each in slices
            for endpoint in each.endpoints or ()
            if endpoint.conditions.ready
            for address in endpoint.addresses
        )


@contextmanager
def followed(routes: ModelRoutes) -> Iterator[None]:
    """Look again and again."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(PERIOD_SECONDS):
            with suppress(client.ApiException, OSError):  # the next look asks again
                routes.step()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
