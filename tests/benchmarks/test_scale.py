"""The benchmark of a large installation: simulated Jobs come to their end, and our calls are told from others."""

from __future__ import annotations

import time
from itertools import count

import pytest
from kubernetes import client, config

from benchmarks.scale.compare import QUICK, section
from benchmarks.scale.counted import Calls
from benchmarks.scale.parts import Figure, answer
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.compute import ECHO
from loopline.resources.kubernetes.compute import KubernetesCompute
from scripts.cluster.pools import Pool
from scripts.cluster.simulated_pods import SimulatedPods

NAMES = count(1)
POOL = {"pool": "simulated"}


def test_figures_are_held_to_what_is_promised():
    """A figure without a bound is told, one with a bound is a promise."""
    found = [Figure("calls", 12, "a minute", "of it", 10), Figure("rendered", 0.256, "CPU s", "2,851 objects")]
    text = str(section(QUICK, found))
    assert "| calls | 12 a minute | of it |" in text
    assert "| rendered | 0.26 CPU s | 2,851 objects |" in text
    assert "calls: 12.00 a minute, at most 10 a minute: **not kept**" in text
    assert "rendered: " not in text


@pytest.mark.timeout(600)
def test_a_task_ends_on_a_simulated_node_and_its_calls_are_counted(cluster, kubernetes_api, team_namespace):
    """A Job's pod runs, leaves its answer and ends; others' calls are not among those counted."""
    capacity = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "50Gi"}
    nodes = [f"simulated-{next(NAMES)}"]
    calls = Calls(kubernetes_api)
    settings = {"kubeconfig": cluster.kubeconfig, "namespace": team_namespace, "node_selector": POOL}
    compute = KubernetesCompute(image="r.test/loopline", **settings)
    calls.sign(compute._linked().api)
    other = client.CoreV1Api(config.new_client_from_config(str(cluster.kubeconfig)))
    with Pool(kubernetes_api, nodes, capacity, POOL), SimulatedPods(kubernetes_api, nodes, 0.5, answer()):
        time.sleep(2)  # a new flow is known a moment later
        with calls.counted() as found:
            for _ in range(100):
                other.list_node()
            assert (
                compute.run(ECHO, {"folder": "/tmp", "value": 7}, Requirements(cpu=1, memory_gb=1), "k")["value"] == 7
            )
    compute.close()
    assert 5 <= found[0] < 100
