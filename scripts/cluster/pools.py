"""Nodes that are only said to be there, for scheduling and scale: nothing runs on them, and their pods stay pending.

A simulated node has a lease, which must be renewed, or its pods are evicted after 40 seconds: ``Pool`` does so.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from kubernetes import client

_LEASES = "kube-node-lease"
_RENEW_SECONDS = 10


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
        self.over = threading.Event()
        self.renewing = threading.Thread(target=self._renew, name="pool", daemon=True)

    def __enter__(self) -> Self:
        """Make the nodes."""
        for name in self.names:
            metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **self.labels}}
            self.core.create_node({"metadata": metadata, "spec": {"taints": self.taints}})
            self.core.patch_node_status(name, {"status": _ready(self.capacity)})
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": _now()}
            self.leases.create_namespaced_lease(_LEASES, {"metadata": {"name": name}, "spec": spec})
            self._untaint(name)
        self.renewing.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take them away."""
        self.over.set()
        self.renewing.join()
        for name in self.names:
            self.core.delete_node(name)
            self.leases.delete_namespaced_lease(name, _LEASES)

    def _renew(self) -> None:
        while not self.over.wait(_RENEW_SECONDS):
            for name in self.names:
                self.leases.patch_namespaced_lease(name, _LEASES, {"spec": {"renewTime": _now()}})

    def _untaint(self, name: str) -> None:
        """Take away at once what the controllers put on a node that was not ready when it was made."""
        self.core.patch_node(name, {"spec": {"taints": self.taints}})


def grant(core: client.CoreV1Api, node: str, resource: str, count: int) -> None:
    """Say that a real node has so many of a device; its kubelet admits pods that ask for them. 0 takes them back."""
    core.patch_node_status(
        node, {"status": {"capacity": {resource: str(count)}, "allocatable": {resource: str(count)}}}
    )


def _ready(capacity: Mapping[str, str]) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True", "reason": "Simulated", "message": "", "lastHeartbeatTime": _now()}
    return {"capacity": dict(capacity), "allocatable": dict(capacity), "conditions": [condition]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
