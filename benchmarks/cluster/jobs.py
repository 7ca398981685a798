"""A Job from submission to its answer: by our compute, and the same Job by kubectl."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from benchmarks.cluster.site import NAMESPACE, Site
from benchmarks.turns import in_turns, medians
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.compute import ECHO
from loopline.platform_core.worker import Job
from loopline.resources.kubernetes.compute import KubernetesCompute
from loopline.resources.kubernetes.job import manifest
from loopline.resources.kubernetes.names import job_name
from loopline.resources.kubernetes.task_payload import pack_task, unpack_answer
from scripts.cluster import images
from scripts.cluster.python_layer import interpreter

ARGUMENTS = {"folder": "/tmp", "value": 7}
REQUIREMENTS = Requirements(cpu=0.5, memory_gb=0.25)
_NUMBERS = count(1)
_JOB = "batch.kubernetes.io/job-name"
Stages = Mapping[str, float]


def compare(site: Site, times: int) -> tuple[Stages, Stages]:
    """Return seconds from submission to each stage: ours and kubectl's, medians."""
    settings = {"image": images.NAME, "image_pull_policy": "Never", "python": str(interpreter())}
    compute = KubernetesCompute(kubeconfig=site.cluster.kubeconfig, namespace=NAMESPACE, **settings)
    with _seen(site) as seen:
        sides = {"ours": lambda: _timed(seen, _ours(compute)), "kubectl": lambda: _timed(seen, _kubectl(site, compute))}
        for side in sides.values():
            side()  # images, connections and kubectl's cache are warm then
        taken = in_turns(sides, times)
    compute.close()
    return medians(taken["ours"]), medians(taken["kubectl"])


def _timed(seen: dict[str, dict[str, float]], side: tuple[str, Callable[[], Any]]) -> Stages:
    key, run = side
    began = time.perf_counter()
    answer = run()
    done = time.perf_counter()
    if answer["value"] != ARGUMENTS["value"]:
        raise RuntimeError(f"a wrong answer: {answer}")
    found = seen[job_name(key)]
    return {
        "its pod is made": found["Pending"] - began,
        "its pod runs": found["Running"] - began,
        "answer": done - began,
    }


def _ours(compute: KubernetesCompute) -> tuple[str, Callable[[], Any]]:
    key = f"ours-{next(_NUMBERS)}"
    return key, lambda: compute.run(ECHO, ARGUMENTS, REQUIREMENTS, key)


def _kubectl(site: Site, compute: KubernetesCompute) -> tuple[str, Callable[[], Any]]:
    key = f"kubectl-{next(_NUMBERS)}"
    file = site.folder / f"{key}.json"
    file.write_text(json.dumps(manifest(compute, REQUIREMENTS, key, pack_task(Job(ECHO, ARGUMENTS)), "default")))
    words = "{.items[0].status.containerStatuses[0].state.terminated.message}"

    def run() -> Any:
        ask = ["kubectl", f"--kubeconfig={site.cluster.kubeconfig}", "-n", NAMESPACE]
        _output(*ask, "create", "-f", str(file))
        _output(*ask, "wait", "--for=condition=complete", "--timeout=120s", f"job/{job_name(key)}")
        said = _output(*ask, "get", "pods", "-l", f"{_JOB}={job_name(key)}", "-o", f"jsonpath={words}")
        found = unpack_answer(said)
        return json.loads(found.outcome)

    return key, run


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _seen(site: Site) -> Iterator[dict[str, dict[str, float]]]:
    """Watch pods; gives when the pod of each Job was first seen in each phase, whoever made it."""
    from kubernetes import watch
    from urllib3.exceptions import HTTPError

    found: dict[str, dict[str, float]] = {}
    watching = watch.Watch()

    def look() -> None:
        with suppress(HTTPError):  # it is cut off at the end
            for event in watching.stream(site.core.list_namespaced_pod, NAMESPACE, label_selector=_JOB):
                pod, now = event["object"], time.perf_counter()
                phases = found.setdefault(pod.metadata.labels[_JOB], {"Pending": now})
                if pod.status.phase != "Pending":  # one that is short may never be seen to run
                    phases.setdefault("Running", now)

    watcher = threading.Thread(target=look)
    watcher.start()
    time.sleep(1)
    yield found
    watching.stop()  # heard at the next change
    site.core.delete_collection_namespaced_pod(NAMESPACE, label_selector=_JOB)
    watcher.join()
