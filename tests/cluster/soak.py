"""What a soak looks at from outside: runs, Jobs, restarts, and the memory of each pod, time after time."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kubernetes import client

from tests.cluster.installed_chart import NAMESPACE, RELEASE
from tests.cluster.walk import Walk

FAILED = frozenset({"FAILURE", "CANCELED"})
ENDED = frozenset({"Succeeded", "Failed"})
GROWN_SHARE, GROWN_MB = 1.25, 100
"""How much larger a pod's median may be in the last third than in the first: runs come and go in a team's pod."""
_ERROR = "message stack errorChain {error {message stack}}"
_ERRORS = f"""
query ($run: ID!) {{logsForRun(runId: $run) {{... on EventConnection {{events {{
  __typename ... on MessageEvent {{message level}}
  ... on ExecutionStepFailureEvent {{stepKey error {{{_ERROR}}}}} ... on RunFailureEvent {{error {{{_ERROR}}}}}
}}}}}}}}"""


@dataclass(frozen=True)
class Look:
    """The installation at one moment, ``seconds`` after the soak began.

    ``failed`` names each run that failed or was cancelled, ``jobs`` and ``ended`` the Jobs that are there and have
    ended, ``killed`` what was killed for want of memory. ``memory_mb`` (PSS) is by pod, ``parts`` says which part of
    the chart a pod is.
    """

    seconds: float
    runs: int
    failed: tuple[str, ...]
    jobs: frozenset[str]
    ended: frozenset[str]
    restarts: int
    killed: tuple[str, ...]
    memory_mb: dict[str, float]
    parts: dict[str, str]


def look(walk: Walk, api: client.ApiClient, began: float) -> Look:
    """Look once; ``began`` is in seconds since 1970."""
    runs = walk.dagster.runs(since=began)
    jobs = [one for one in client.BatchV1Api(api).list_job_for_all_namespaces().items if _is_ours(one)]
    pods = [one for one in walk.core.list_pod_for_all_namespaces().items if _is_ours(one)]
    statuses = [(pod, status) for pod in pods for status in _statuses(pod)]
    standing = {pod.metadata.name: pod for pod in pods if pod.status.phase == "Running"}
    used = _memory_mb({pod.metadata.uid: name for name, pod in standing.items()})
    return Look(
        seconds=time.time() - began,
        runs=len(runs),
        failed=tuple(f"{run['jobName']} {run['runId']} {run['status']}" for run in runs if run["status"] in FAILED),
        jobs=frozenset(job.metadata.name for job in jobs),
        ended=frozenset(job.metadata.name for job in jobs if job.status.succeeded or job.status.failed),
        restarts=sum(status.restart_count for _, status in statuses),
        killed=tuple(f"{pod.metadata.name} {status.name}" for pod, status in statuses if _was_killed(status)),
        memory_mb=used,
        parts={name: _part(pod) for name, pod in standing.items()},
    )


def errors(walk: Walk, run: str) -> str:
    """Write what a failed run's events say: each error with its causes and where they were raised."""
    events = walk.dagster.ask(_ERRORS, run=run)["logsForRun"]["events"]
    told = [event for event in events if event.get("error") or event.get("level") in {"ERROR", "CRITICAL"}]
    return "\n".join(line for event in told for line in _told(event))


def release_pods(walk: Walk) -> set[str]:
    """Return the pods of the chart's own parts, which nothing in a soak replaces."""
    found = walk.core.list_pod_for_all_namespaces(label_selector=f"app.kubernetes.io/instance={RELEASE}").items
    return {pod.metadata.name for pod in found if pod.status.phase not in ENDED}


def grown(looks: Sequence[Look]) -> dict[str, tuple[float, float]]:
    """Return pods that are larger in the last third than they may be: medians of both thirds (MB), by name."""
    third = max(1, len(looks) // 3)
    first, last = (_medians([one.memory_mb for one in part]) for part in (looks[:third], looks[-third:]))
    both = {name: (first[name], last[name]) for name in first.keys() & last.keys()}
    return {name: (was, now) for name, (was, now) in both.items() if now > was * GROWN_SHARE + GROWN_MB}


def table(looks: Sequence[Look], rows: int = 10) -> str:
    """Write a table for ``docs/benchmarks.md``: counts at the end of each span, medians of a part's pods within it."""
    parts = sorted({part for one in looks for part in one.parts.values()})
    head = ["minute", "runs", "failed", "restarts", "Jobs", *(f"{part}, MB" for part in parts)]
    lines = [head, ["---"] * len(head), *(_row(span, parts) for span in _spans(looks, rows))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _told(event: dict[str, Any]) -> Iterator[str]:
    yield f"{event['__typename']} {event.get('stepKey') or ''}: {event.get('message') or ''}"
    error = event.get("error") or {}
    for one in (error, *(link["error"] for link in error.get("errorChain", ()))):
        yield from (one.get("message", ""), *one.get("stack", ()))


def _row(span: Sequence[Look], parts: Sequence[str]) -> list[str]:
    last, by_part = span[-1], defaultdict(list)
    for one in span:
        for name, used in one.memory_mb.items():
            by_part[one.parts[name]].append(used)
    counts = (last.seconds / 60, last.runs, len(last.failed), last.restarts, len(last.jobs))
    memory = [f"{statistics.median(by_part[part]):.0f}" if by_part[part] else "-" for part in parts]
    return [*(f"{count:.0f}" for count in counts), *memory]


def _spans(looks: Sequence[Look], rows: int) -> Iterator[Sequence[Look]]:
    bounds = [round(number * len(looks) / rows) for number in range(rows + 1)]
    return (looks[since:until] for since, until in pairwise(bounds) if until > since)


def _medians(found: Sequence[dict[str, float]]) -> dict[str, float]:
    by_pod = defaultdict(list)
    for one in found:
        for name, used in one.items():
            by_pod[name].append(used)
    return {name: statistics.median(used) for name, used in by_pod.items()}


def _is_ours(thing: Any) -> bool:
    return bool(thing.metadata.namespace.startswith(NAMESPACE))


def _statuses(pod: Any) -> list[Any]:
    return [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]


def _was_killed(status: Any) -> bool:
    ends = (status.state.terminated, status.last_state.terminated)
    return any(end is not None and end.reason == "OOMKilled" for end in ends)


def _part(pod: Any) -> str:
    labels = pod.metadata.labels or {}
    if "batch.kubernetes.io/job-name" in labels:
        return "tasks"
    named = labels.get("app.kubernetes.io/component"), labels.get("app.kubernetes.io/name")
    return "endpoints" if named[0] == "serving" else str(named[1] or pod.metadata.name)


def _memory_mb(pods: dict[str, str]) -> dict[str, float]:
    """Add up what the processes of each pod hold, what they share divided among them; pods are named by their uid."""
    found = dict.fromkeys(pods.values(), 0.0)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            group = folder.joinpath("cgroup").read_text()
            name = next((name for uid, name in pods.items() if uid in group), "")
            if name:
                line = next(one for one in folder.joinpath("smaps_rollup").read_text().splitlines() if "Pss:" in one)
                found[name] += int(line.split()[1]) / 1024
    return found
