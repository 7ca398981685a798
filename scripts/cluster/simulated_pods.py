"""Pods of simulated nodes that are said to run: each becomes ready, and one of a Job ends well after a while."""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Self

from kubernetes import client, watch
from urllib3.exceptions import HTTPError

from scripts.cluster.leases import now

_JOB = "batch.kubernetes.io/job-name"
_ADDRESS = "198.18.254.1"
_WATCH_SECONDS = 300


class SimulatedPods:
    """Plays the kubelet of nodes, by their names, as long as the ``with`` block.

    A Job's pod runs for ``job_seconds``, and leaves ``message`` as its last words.
    """

    def __init__(
        self, api: client.ApiClient, nodes: Collection[str], job_seconds: float = 1, message: str = ""
    ) -> None:
        self.core, self.nodes = client.CoreV1Api(api), frozenset(nodes)
        self.job_seconds, self.message = job_seconds, message
        self.over = threading.Event()
        self._known: set[str] = set()
        self._playing = threading.Thread(target=self._play, name="simulated-pods", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._playing.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the pods be; the watch ends at the next change."""
        self.over.set()

    def _play(self) -> None:
        while not self.over.is_set():
            with suppress(HTTPError, client.ApiException):
                seen = watch.Watch().stream(self.core.list_pod_for_all_namespaces, timeout_seconds=_WATCH_SECONDS)
                for event in seen:
                    if self.over.is_set():
                        return
                    self._look(event["object"])

    def _look(self, pod: Any) -> None:
        name, namespace, uid = pod.metadata.name, pod.metadata.namespace, pod.metadata.uid
        if pod.spec.node_name not in self.nodes:
            return
        with suppress(client.ApiException):  # it may be gone by now
            if pod.metadata.deletion_timestamp:
                self.core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
            elif uid in self._known:
                if _is_unready(pod):  # its node was late with its lease, and the controllers said so of its pods
                    self._say(pod, "Running", {"running": {"startedAt": now()}})
            else:
                self._known.add(uid)
                self._say(pod, "Running", {"running": {"startedAt": now()}})
                if _JOB in (pod.metadata.labels or {}):
                    end = threading.Timer(self.job_seconds, self._end, (pod,))
                    end.daemon = True
                    end.start()

    def _end(self, pod: Any) -> None:
        times = {"startedAt": now(), "finishedAt": now()}
        ended = {"exitCode": 0, "reason": "Completed", "message": self.message, **times}
        with suppress(client.ApiException):
            self._say(pod, "Succeeded", {"terminated": ended})

    def _say(self, pod: Any, phase: str, state: dict[str, Any]) -> None:
        runs = phase == "Running"
        containers = [
            {"name": one.name, "image": one.image, "imageID": "", "ready": runs, "restartCount": 0, "state": state}
            for one in pod.spec.containers
        ]
        conditions = [
            {"type": kind, "status": str(runs), "lastTransitionTime": now()} for kind in ("ContainersReady", "Ready")
        ]
        said = {"phase": phase, "startTime": now(), "podIP": _ADDRESS, "podIPs": [{"ip": _ADDRESS}]}
        status = {**said, "containerStatuses": containers, "conditions": conditions}
        self.core.patch_namespaced_pod_status(pod.metadata.name, pod.metadata.namespace, {"status": status})


def _is_unready(pod: Any) -> bool:
    conditions = pod.status.conditions or ()
    return pod.status.phase == "Running" and any(one.type == "Ready" and one.status == "False" for one in conditions)
