"""Waits for a Job's answer by a watch of its pods, without polling."""

from __future__ import annotations

import time
from typing import Any

from loopline.platform_core.errors import LooplineError, Refused, Transient
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.worker import Failure
from loopline.resources.kubernetes import pod_status
from loopline.resources.kubernetes.claiming import remove
from loopline.resources.kubernetes.deadline import Patience
from loopline.resources.kubernetes.gang import Gang, Ranks, decisive, ranks_of
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.logs import Log, answer_in_log
from loopline.resources.kubernetes.names import ANSWER
from loopline.resources.kubernetes.pod_status import End, Wait
from loopline.resources.kubernetes.settings import Settings
from loopline.resources.kubernetes.task_payload import Answer, InLog, pack_annotation, unpack_annotation, unpack_answer

_WATCH_SECONDS, _SOON_SECONDS = 30, 3
"""How long a watch lasts while the task runs, and while it is not known whether it ever will."""
_FAILED_SECONDS = 30
_PAUSE_SECONDS = 0.2


class Following:
    """Follows one Job to its end."""

    def __init__(self, link: Link, settings: Settings, job: Any, requirements: Requirements) -> None:
        self.link, self.job, self.requirements = link, job, requirements
        self.name, self.namespace = str(job.metadata.name), str(job.metadata.namespace)
        self.selector = f"batch.kubernetes.io/controller-uid={job.metadata.uid}"
        self.patience = Patience(settings, self.name)
        self.workers = requirements.workers
        self.logs: dict[str, Log] = {}
        self.ranks: dict[str, int] = {}
        self.gang = Gang(link, settings, job, self.workers)
        self.seen: Any = None

    def answer(self) -> Answer:
        """Wait for the answer, and keep it with the Job.

        Raises:
            LooplineError: the Job ended without one, or was not waited for any longer.
        """
        found = _answer_of_job(self.job)
        while found is None:
            pods = self.link.call(self.link.core.list_namespaced_pod, self.namespace, label_selector=self.selector)
            found = self._look(ranks_of(pods.items, self.workers))
            if found is None:
                self._until_something_happens(pods.metadata.resource_version)
        return found

    def _look(self, ranks: Ranks) -> Answer | None:
        self.seen = min(ranks.values(), key=pod_status.whole, default=self.seen)
        self.ranks |= {pod.metadata.name: rank for rank, pod in ranks.items()}
        for pod in filter(pod_status.runs, ranks.values()):
            self._log_of(pod.metadata.name).follow(pod.metadata.name)
        last = decisive(ranks, self.workers)
        if last is not None and (end := pod_status.ended(last, self.requirements)):
            return self._ended(end)
        waits = [wait for pod in ranks.values() if (wait := pod_status.wait(pod))]
        if len(ranks) < self.workers:
            return self._with_too_few(ranks, waits)
        self._record_wait(waits[0] if waits else None)
        if self.workers > 1:
            self.gang.gather(ranks)
        return None

    def _with_too_few(self, ranks: Ranks, waits: list[Wait]) -> Answer | None:
        job = self._now()
        if job is None:
            raise self._cancelled()
        if found := _answer_of_job(job):
            return found
        if pod_status.complete(job) and 0 in ranks and (end := pod_status.ended(ranks[0], self.requirements)):
            return self._ended(end)
        if pod_status.failed(job) or pod_status.complete(job):
            raise pod_status.gone(job, self.seen, self.requirements)
        self._record_wait(waits[0] if waits else self._refusal())
        if self.workers > 1:
            self.gang.take_up(job)
            self.gang.gather(ranks)
        return None

    def _log_of(self, pod: str) -> Log:
        if pod not in self.logs:
            prefix = f"[{self.ranks.get(pod, 0)}] " if self.workers > 1 else ""
            self.logs[pod] = Log(self.link, self.namespace, prefix)
        return self.logs[pod]

    def _ended(self, end: End) -> Answer:
        """Read a pod's last words; a failure is told when the Job knows it too, so that the key can be run again."""
        for pod in {end.pod, *self.logs}:
            self._log_of(pod).finish(pod)
        found = unpack_answer(end.message)
        if isinstance(found, InLog):
            found = answer_in_log(self.link, self.namespace, end.pod, found)
            end = End("", end.pod, Transient(f"the answer of {end.pod} is no longer in its log", "run the key again"))
        if found is not None and isinstance(found.outcome, str):
            self._keep(found)
            return found
        cancelled = self._until_failed() is None
        if found is None or (cancelled and self.workers > 1):
            raise self._cancelled() if cancelled else end.error
        return found if self.workers == 1 else self._of_rank(found, end.pod)

    def _of_rank(self, found: Answer, pod: str) -> Answer:
        """Say in a failure whose it is."""
        who = f"rank {self.ranks.get(pod, 0)} of {self.workers}"
        said = found.outcome
        return Answer(Failure(f"{who}: {said.problem}", said.fix, said.trace)) if isinstance(said, Failure) else found

    def _keep(self, answer: Answer) -> None:
        """Leave the answer with the Job: it outlives the pod, which goes with its node."""
        if kept := pack_annotation(answer):
            body = {"metadata": {"annotations": {ANSWER: kept}, "uid": self.job.metadata.uid}}
            self.link.call_or_none(self.link.batch.patch_namespaced_job, self.name, self.namespace, body)

    def _until_failed(self) -> Any:
        """Return the Job that knows that its pod failed; None: somebody took it away."""
        until = time.monotonic() + _FAILED_SECONDS
        while (job := self._now()) is not None and pod_status.failed(job) is None and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
        return job

    def _cancelled(self) -> LooplineError:
        return Refused(f"{self.name} was cancelled", "run the key again, if it shall be done after all")

    def _now(self) -> Any:
        """Return the Job as it is; None if it is gone or going, or another one has its name."""
        job = self.link.call_or_none(self.link.batch.read_namespaced_job, self.name, self.namespace)
        there = job is not None and job.metadata.uid == self.job.metadata.uid and not job.metadata.deletion_timestamp
        return job if there else None

    def _refusal(self) -> Wait | None:
        """Return why no pod is made: an event of the Job says it, for the pod never exists."""
        selector = f"involvedObject.uid={self.job.metadata.uid},reason=FailedCreate"
        events = self.link.call(self.link.core.list_namespaced_event, self.namespace, field_selector=selector).items
        last = max(events, key=pod_status.event_time, default=None)
        return None if last is None else Wait(last.message, passing="exceeded quota" in last.message)

    def _record_wait(self, wait: Wait | None) -> None:
        if error := self.patience.record_wait(wait):
            remove(self.link, self.job)
            raise error

    def _until_something_happens(self, version: str) -> None:
        unsure = (self.seen is None or self.patience.since) and not self.patience.told
        self.link.wait_for_change(self.namespace, self.selector, version, _SOON_SECONDS if unsure else _WATCH_SECONDS)


def _answer_of_job(job: Any) -> Answer | None:
    packed = (job.metadata.annotations or {}).get(ANSWER)
    return unpack_annotation(packed) if packed else None
