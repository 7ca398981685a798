"""Calls as the API server counts them: a group of ours has a flow of its own, whose requests are among its metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WHO = "loopline-measured"
_METRIC = re.compile(
    r"^apiserver_flowcontrol_dispatched_requests_total\{[^}]*flow_schema=\"loopline-measured\"[^}]*\} (\S+)",
    re.MULTILINE,
)


class Calls:
    """Tells how many there were so far."""

    def __init__(self, api: Any) -> None:
        from kubernetes import client

        self._api = api
        rule = {
            "subjects": [{"kind": "User", "user": {"name": _WHO}}],
            "resourceRules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
            ],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }
        spec = {"matchingPrecedence": 10, "priorityLevelConfiguration": {"name": "workload-high"}, "rules": [rule]}
        spec["distinguisherMethod"] = {"type": "ByUser"}
        client.FlowcontrolApiserverV1Api(api).create_flow_schema({"metadata": {"name": _WHO}, "spec": spec})
        subject = {"kind": "User", "name": _WHO, "apiGroup": "rbac.authorization.k8s.io"}
        role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": _WHO}, "roleRef": role, "subjects": [subject]}
        client.RbacAuthorizationV1Api(api).create_cluster_role_binding(binding)

    def sign(self, api: Any) -> None:
        """Let a client's calls be counted."""
        api.set_default_header("Impersonate-User", _WHO)

    def count(self) -> int:
        """Return how many calls there were."""
        answer = self._api.rest_client.pool_manager.request("GET", f"{self._api.configuration.host}/metrics")
        return int(sum(float(value) for value in _METRIC.findall(answer.data.decode())))

    @contextmanager
    def counted(self) -> Iterator[list[int]]:
        """Give a list that holds the number of calls in the block, after it."""
        before, found = self.count(), [0]
        yield found
        found[0] = self.count() - before
