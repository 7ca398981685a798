"""Gang scheduling of a Job's pods: all start together, or give their places back.

A pod of a gang waits until it has been told the addresses of all, which are its pods' own: they need no name service
and no Service. Whoever waits for the answer tells them, by an annotation that each pod sees as a file. So no rank
begins unless all have a place. If some have none for ``gang_seconds``, the Job is suspended for a while: its pods go,
and others may have their places, instead of two gangs that wait for each other with half of what each needs.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from loopline.platform_core.specs.gang import PORT
from loopline.resources.kubernetes import pod_status
from loopline.resources.kubernetes.deadline import write_line
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.names import GANG, GIVEN_BACK
from loopline.resources.kubernetes.settings import Settings

_INDEX = "batch.kubernetes.io/job-completion-index"
_AWAY_SECONDS = (5.0, 20.0)
"""For how long places are given back: by chance, so that two gangs do not come back at the same time."""

Ranks = Mapping[int, Any]
"""The pod of each rank that has one."""


class Gang:
    """Brings the pods of one Job together."""

    def __init__(self, link: Link, settings: Settings, job: Any, workers: int) -> None:
        self.link, self.settings, self.workers = link, settings, workers
        self.name, self.namespace = str(job.metadata.name), str(job.metadata.namespace)
        self.since: float | None = None

    def gather(self, ranks: Ranks) -> None:
        """Tell the addresses if all are there; give the places back if some have been missing for long."""
        unaware = [pod for pod in ranks.values() if not _is_of_gang(pod)]
        if len(ranks) == self.workers and all(pod_status.runs(pod) and pod.status.pod_ip for pod in ranks.values()):
            self._introduce(ranks, unaware)
        elif len(unaware) == len(ranks) and self._in_vain(ranks):
            self._give_back(sum(map(pod_status.placed, ranks.values())))

    def take_up(self, job: Any) -> None:
        """Ask for places again, if they were given back."""
        if job.spec.suspend and GIVEN_BACK in (job.metadata.annotations or {}):
            time.sleep(random.uniform(*_AWAY_SECONDS))  # noqa: S311 - no secret
            self._patch_job(suspend=False, given_back=None)

    def _introduce(self, ranks: Ranks, unaware: Sequence[Any]) -> None:
        addresses = json.dumps([f"{ranks[rank].status.pod_ip}:{PORT}" for rank in range(self.workers)])
        for pod in unaware:
            body = {"metadata": {"annotations": {GANG: addresses}, "uid": pod.metadata.uid}}
            self.link.call_or_none(self.link.core.patch_namespaced_pod, pod.metadata.name, self.namespace, body)

    def _in_vain(self, ranks: Ranks) -> bool:
        """Say whether some have held places for ``gang_seconds`` while others had none."""
        placed = sum(map(pod_status.placed, ranks.values()))
        if placed in {0, self.workers}:
            self.since = None
            return False
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since > self.settings.gang_seconds

    def _give_back(self, placed: int) -> None:
        write_line(f"{self.name} gives its places back for a while: {placed} of {self.workers} workers have one")
        self.since = None
        self._patch_job(suspend=True, given_back="places were missing")

    def _patch_job(self, *, suspend: bool, given_back: str | None) -> None:
        body = {"metadata": {"annotations": {GIVEN_BACK: given_back}}, "spec": {"suspend": suspend}}
        self.link.call_or_none(self.link.batch.patch_namespaced_job, self.name, self.namespace, body)


def ranks_of(pods: Sequence[Any], workers: int) -> dict[int, Any]:
    """Return the newest pod of each rank, in order; without those that gave their place back before they began."""
    found: dict[int, Any] = {}
    for pod in sorted(pods, key=lambda pod: pod.metadata.creation_timestamp):
        if workers == 1 or _is_of_gang(pod) or not pod.metadata.deletion_timestamp:
            found[int((pod.metadata.labels or {}).get(_INDEX, 0))] = pod
    return dict(sorted(found.items()))


def decisive(ranks: Ranks, workers: int) -> Any:
    """Return the pod whose end is that of all; None: they are at work.

    It is the first that fell, not one of those that were ended for its sake; or the first rank's, when all are done.
    """
    fallen = [pod for pod in ranks.values() if pod_status.over(pod) and not pod_status.succeeded(pod)]
    if fallen:
        return min(fallen, key=lambda pod: (pod_status.taken_away(pod), pod_status.ended_at(pod)))
    done = len(ranks) == workers and all(pod_status.succeeded(pod) for pod in ranks.values())
    return ranks[0] if done else None


def _is_of_gang(pod: Any) -> bool:
    return GANG in (pod.metadata.annotations or {})
