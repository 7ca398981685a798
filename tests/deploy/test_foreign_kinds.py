"""Kinds of meshes, certificates, monitoring and gateways: a real API server takes each object under its definition."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.deploy.helm_chart import EVERYTHING, NAMESPACE, objects
from tests.deploy.published_definitions import apply, create, definitions, namespace, remove

MODULES = {
    "istio.io/api@v1.32.0": "kubernetes/customresourcedefinitions.gen.yaml",
    "github.com/cert-manager/cert-manager@v1.21.2": "deploy/crds/cert-manager.io_*.yaml",
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd/*.yaml",
    "sigs.k8s.io/gateway-api@v1.5.1": "config/crd/standard/*_httproutes.yaml",
}
"""Modules in which definitions are published, and where. Of Linkerd's none is: its module is not served."""
GROUPS = frozenset({"security.istio.io", "cert-manager.io", "monitoring.coreos.com", "gateway.networking.k8s.io"})
KINDS = {"PeerAuthentication", "AuthorizationPolicy", "Certificate", "PrometheusRule", "ServiceMonitor", "HTTPRoute"}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def dynamic(kubernetes_api: client.ApiClient) -> Iterator[Any]:
    """Give an API server that knows the definitions, and the namespaces of a release."""
    from kubernetes.dynamic import DynamicClient

    wanted = [one for one in definitions(MODULES, GROUPS) if one["spec"]["names"]["kind"] in KINDS]
    apply(kubernetes_api, wanted)
    found = DynamicClient(kubernetes_api)
    for name in sorted({one["metadata"]["namespace"] for one in foreign()}):
        namespace(found, name)
    yield found
    remove(kubernetes_api, wanted)


def foreign() -> list[dict[str, Any]]:
    """Return what the chart renders of those kinds."""
    return [one for one in objects(EVERYTHING) if one["apiVersion"].partition("/")[0] in GROUPS]


def test_every_one_is_taken(dynamic: Any) -> None:
    """Strictly: an unknown field would be refused."""
    rendered = foreign()
    assert {one["kind"] for one in rendered} == KINDS
    assert {one["metadata"]["namespace"] for one in rendered} >= {NAMESPACE, "mlops-retail", "mlops-serving"}
    for one in rendered:
        assert create(dynamic, one) == "", (one["kind"], one["metadata"])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_check_is_one(dynamic: Any, kind: str) -> None:
    """An unknown field of each kind is refused by its name."""
    one = copy.deepcopy(next(one for one in foreign() if one["kind"] == kind))
    one["spec"]["misspelt"] = {}
    assert 'unknown field "spec.misspelt"' in create(dynamic, one)
