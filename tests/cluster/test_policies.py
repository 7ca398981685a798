"""Network policies hold on the tests' Kubernetes: what is denied is not reached, and is again when the policy goes."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from kubernetes import client

from scripts.cluster.settings import NAMES_ADDRESS
from tests.cluster import knocking
from tests.cluster.knocking import DENIED, OTHER_PORT, PORT, REACHED

pytestmark = pytest.mark.timeout(600)
NORTH, SOUTH = "policed-north", "policed-south"
SERVICE = f"knocker.{SOUTH}.svc.cluster.local"
ALL = {"podSelector": {}}
NAMES = {
    "to": [{"ipBlock": {"cidr": f"{NAMES_ADDRESS}/32"}}],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


@pytest.fixture(scope="module")
def pods(cluster, kubernetes_core):
    """Run a pod in each of two namespaces, by namespace, and a neighbour of the southern one."""
    found = {}
    for namespace in (NORTH, SOUTH):
        kubernetes_core.create_namespace({"metadata": {"name": namespace}})
        found[namespace] = knocking.start(kubernetes_core, cluster, namespace)
    found["neighbour"] = knocking.start(kubernetes_core, cluster, SOUTH, "neighbour")
    yield found
    for namespace in (NORTH, SOUTH):
        kubernetes_core.delete_namespace(namespace)


@pytest.fixture
def policed(kubernetes_api):
    """Give a namespace a policy for as long as a block lasts."""
    network = client.NetworkingV1Api(kubernetes_api)

    @contextmanager
    def policy(namespace, spec, name="policy"):
        network.create_namespaced_network_policy(namespace, {"metadata": {"name": name}, "spec": spec})
        try:
            yield
        finally:
            network.delete_namespaced_network_policy(name, namespace)

    return policy


def test_what_denies_by_default_is_not_reached(pods, policed):
    """By address and by Service, from another namespace and from its own; without the policy it is."""
    north, south = pods[NORTH], pods[SOUTH]
    knocks = [(asker, host) for asker in (north, pods["neighbour"]) for host in (south.address, SERVICE)]
    assert all(asker.comes_to(REACHED, host) for asker, host in knocks)
    with policed(SOUTH, {**ALL, "policyTypes": ["Ingress"]}):
        assert all(asker.comes_to(DENIED, host) for asker, host in knocks)
        assert south.comes_to(REACHED, north.address), "the policy is about what comes in"
    assert all(asker.comes_to(REACHED, host) for asker, host in knocks)


def test_what_may_not_reach_out_does_not(pods, policed):
    """Neither another pod, nor a name, unless names are let out."""
    north, south = pods[NORTH], pods[SOUTH]
    with policed(NORTH, {**ALL, "policyTypes": ["Egress"]}):
        assert north.comes_to(DENIED, south.address)
        assert north.comes_to("unknown", SERVICE)
        assert south.comes_to(REACHED, north.address), "the policy is about what goes out"
        with policed(NORTH, {**ALL, "policyTypes": ["Egress"], "egress": [NAMES]}, "names"):
            assert north.comes_to(DENIED, SERVICE), "the name is known"
    assert north.comes_to(REACHED, SERVICE)


def test_what_is_let_in_is_let_in_by_its_port_alone(pods, policed):
    """From a namespace by its name, and to one port of two."""
    north, south = pods[NORTH], pods[SOUTH]
    of_north = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NORTH}}}
    let_in = {"from": [of_north], "ports": [{"port": PORT, "protocol": "TCP"}]}
    with policed(SOUTH, {**ALL, "policyTypes": ["Ingress"], "ingress": [let_in]}):
        assert north.comes_to(DENIED, south.address, OTHER_PORT)
        assert north.comes_to(REACHED, south.address)
        assert north.comes_to(REACHED, SERVICE)
    assert north.comes_to(REACHED, south.address, OTHER_PORT)


def test_probes_pass_where_everything_is_denied(pods, policed, cluster, kubernetes_core):
    """A pod that starts there becomes ready, and one that is there stays so, longer than its probes may fail."""
    with policed(SOUTH, {**ALL, "policyTypes": ["Ingress", "Egress"]}):
        assert pods[NORTH].comes_to(DENIED, pods[SOUTH].address)
        knocking.start(kubernetes_core, cluster, SOUTH, "late")
        time.sleep(5)  # more than three periods of its probe
        for name in ("knocker", "late"):
            assert knocking.is_ready(kubernetes_core.read_namespaced_pod(name, SOUTH))
