"""``kill -9`` for what runs in a pod, what a drain does (asked by the eviction API), and servers that answer nobody."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kubernetes import client

from scripts.cluster.outside import Cluster

_PART = "app.kubernetes.io/name={}"
"""How the chart labels a part's pods."""
TOO_MANY_REQUESTS = 429


def running(core: client.CoreV1Api, namespace: str, selector: str) -> list[Any]:
    """Return pods that run and are not on their way out."""
    found = core.list_namespaced_pod(namespace, label_selector=selector).items
    return [pod for pod in found if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]


def kill_part(core: client.CoreV1Api, namespace: str, part: str, container: str = "") -> None:
    """Kill a container of one pod of a part of the chart; without a name the one that is called as the part."""
    kill(running(core, namespace, _PART.format(part))[0], container or part)


def kill(pod: Any, container: str) -> None:
    """Kill every process of a container at once, as the kernel does when memory runs out."""
    statuses = [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]
    ident = next(status.container_id for status in statuses if status.name == container).rpartition("/")[2]
    found = _processes(ident)
    assert found, f"nothing runs in {container} of {pod.metadata.name}"
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _processes(ident: str) -> list[int]:
    """Find a container's processes by their cgroup; they are this machine's too."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if ident in folder.joinpath("cgroup").read_text():
                found.append(int(folder.name))
    return found


def evicted(core: client.CoreV1Api, pod: Any) -> bool:
    """Ask for a pod's eviction, as ``kubectl drain`` does; says whether its disruption budget allows it now."""
    metadata = client.V1ObjectMeta(name=pod.metadata.name)
    try:
        core.create_namespaced_pod_eviction(
            pod.metadata.name, pod.metadata.namespace, client.V1Eviction(metadata=metadata)
        )
    except client.ApiException as error:
        if error.status == TOO_MANY_REQUESTS:
            return False
        raise
    return True


@contextmanager
def away(process: int, seconds: float) -> Iterator[None]:
    """Let a server hang for so long at least: it keeps its connections and answers nobody."""
    end = time.monotonic() + seconds
    os.kill(process, signal.SIGSTOP)
    try:
        while not _stands(process):  # on a busy machine its threads answer for a moment yet
            time.sleep(0.01)  # between two looks
        yield
        time.sleep(max(0.0, end - time.monotonic()))  # as long as it is to hang
    finally:
        os.kill(process, signal.SIGCONT)


def _stands(process: int) -> bool:
    """Say whether each thread of a process is stopped."""
    states = (stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{process}/task").glob("*/stat"))
    return set(states) == {"T"}


def api_server(cluster: Cluster) -> int:
    """Return the process of a cluster's API server."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = folder.joinpath("cmdline").read_bytes().decode().split("\0")
            if command[0].endswith("kube-apiserver") and any(str(cluster.folder) in part for part in command):
                return int(folder.name)
    raise AssertionError("no API server")
