"""Compute on Kubernetes: tasks as Jobs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import ClassVar

from pydantic import PrivateAttr

from loopline.platform_core.contracts.compute import Compute, Json
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.worker import Failure, Job
from loopline.resources.kubernetes import claiming, schedulability
from loopline.resources.kubernetes.deadline import Patience
from loopline.resources.kubernetes.following import Following
from loopline.resources.kubernetes.job import manifest
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.names import ANSWER, KEY, MANAGED
from loopline.resources.kubernetes.pod_status import Wait, complete
from loopline.resources.kubernetes.settings import Settings
from loopline.resources.kubernetes.task_payload import pack_task

_PAUSE_SECONDS = 3.0


class KubernetesCompute(Settings, Compute):
    """Runs each task as a Job that is named after its key, so that any caller finds it again; a pod for each worker.

    The image must hold Loopline and the teams' packages. What a task needs to know travels in the Job, and its answer
    comes back by the pod's termination message: no store is needed, and no token in the pod.
    """

    extras = ("kubernetes",)
    can: ClassVar[frozenset[str]] = frozenset({"cancel", "gang"})
    open_fields: ClassVar[frozenset[str]] = frozenset({"env"})
    _link: Link | None = PrivateAttr(default=None)

    def run(self, task: str, args: Mapping[str, Json], requirements: Requirements, key: str) -> Json:
        """Make the key's Job, or find it, and wait for its answer; its log goes to standard error.

        Raises:
            TaskFailed: the task raised, or needs more memory or disk than it asked for.
            Unsupported: no node, quota or limit range could ever hold it.
            Overloaded: it cannot start now, and nobody shall wait. Transient: it was evicted, preempted or killed.
            InvalidEnvironment: its pod can never start as the environment says.
            Refused: somebody cancelled it.
        """
        packed = pack_task(Job(task, dict(args)))
        namespace, account = self.placed(args)
        link = self._linked()
        schedulability.require(link, self, requirements, namespace)
        job = self._claimed(link, namespace, manifest(self, requirements, key, packed, account))
        outcome = Following(link, self, job, requirements).answer().outcome
        if isinstance(outcome, Failure):
            raise outcome.error()
        return json.loads(outcome)

    def cancel(self, key: str, args: Mapping[str, Json] | None = None) -> None:
        """Take the Jobs of the key and of those below it away while they are at work; whoever waits for one is told.

        They are looked for where the arguments place them, and everywhere if those do not say.
        """
        link = self._linked()
        selector = ",".join(f"{name}={value}" for name, value in MANAGED.items())
        try:
            namespace = self.placed(args or {})[0]
            found = link.call(link.batch.list_namespaced_job, namespace, label_selector=selector)
        except InvalidEnvironment:
            found = link.call(link.batch.list_job_for_all_namespaces, label_selector=selector)
        for job in found.items:
            said = job.metadata.annotations or {}
            meant = said.get(KEY) == key or said.get(KEY, "").startswith(f"{key}/")
            if meant and not (complete(job) or ANSWER in said):
                claiming.remove(link, job)

    def close(self) -> None:
        """Let the connections go; Jobs go on."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _claimed(self, link: Link, namespace: str, wanted: dict[str, Json]) -> Json:
        patience = Patience(self, wanted["metadata"]["name"])
        while isinstance(found := claiming.claim(link, namespace, wanted), Wait):
            if error := patience.record_wait(found):
                raise error
            time.sleep(_PAUSE_SECONDS)
        return found

    def _linked(self) -> Link:
        if self._link is None or self._link.pid != os.getpid():
            self._link = Link(self)
        return self._link
