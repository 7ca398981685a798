"""Nodes that are only said to be there, for scheduling and scale: nothing runs on them, and their pods stay pending.

A simulated node has a lease, which must be renewed, or it is given up and its pods are evicted: ``Leases`` does so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from kubernetes import client

from scripts.cluster import leases
from scripts.cluster.leases import Leases, now


class Pool:
    """Simulated nodes that live as long as the ``with`` block; each has the same capacity, labels and taints."""

    def __init__(
        self,
        api: client.ApiClient,
        names: Sequence[str],
        capacity: Mapping[str, str],
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.core, self.leases = client.CoreV1Api(api), client.CoordinationV1Api(api)
        self.names, self.capacity = tuple(names), {"pods": "110", **capacity}
        self.labels, self.taints = dict(labels or {}), list(taints)
        self.renewing = Leases(api, self.names)

    def __enter__(self) -> Self:
        """Make the nodes; the first ones' leases are renewed while the last ones are made."""
        self.renewing.start()
        for name in self.names:
            metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **self.labels}}
            self.core.create_node({"metadata": metadata, "spec": {"taints": self.taints}})
            self.core.patch_node_status(name, {"status": _ready(self.capacity)})
            lease = {"metadata": {"name": name}, "spec": leases.spec(name)}
            self.leases.create_namespaced_lease(leases.NAMESPACE, lease)
            self._untaint(name)
        return self

    def __exit__(self, *_: object) -> None:
        """Take them away."""
        self.renewing.stop()
        for name in self.names:
            self.core.delete_node(name)
            self.leases.delete_namespaced_lease(name, leases.NAMESPACE)

    def _untaint(self, name: str) -> None:
        """Take away at once what the controllers put on a node that was not ready when it was made."""
        self.core.patch_node(name, {"spec": {"taints": self.taints}})


def grant(core: client.CoreV1Api, node: str, resource: str, count: int) -> None:
    """Say that a real node has so many of a device; its kubelet admits pods that ask for them. 0 takes them back."""
    core.patch_node_status(
        node, {"status": {"capacity": {resource: str(count)}, "allocatable": {resource: str(count)}}}
    )


def _ready(capacity: Mapping[str, str]) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True", "reason": "Simulated", "message": "", "lastHeartbeatTime": now()}
    return {"capacity": dict(capacity), "allocatable": dict(capacity), "conditions": [condition]}
