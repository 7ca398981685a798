"""Compute on a cloud's ML service: base of its vendors, tasks as managed jobs."""

from __future__ import annotations

import abc
import json
import random
import time
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.compute import Billed, Compute, Json
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.worker import Failure, Job
from loopline.resources.managed_jobs import names
from loopline.resources.managed_jobs.claiming import Claim, jobs_of
from loopline.resources.managed_jobs.deadline import Patience
from loopline.resources.managed_jobs.following import Following
from loopline.resources.managed_jobs.machines import Machines, smallest
from loopline.resources.managed_jobs.service import Order, Phase, Service
from loopline.resources.managed_jobs.task_files import pack_task


class ManagedCompute(Compute):
    """Runs each task as a job that is named after its key, so that any caller finds it again.

    What cannot start now is told within 30 seconds, and then waits (``waiting: wait``, up to ``patience_minutes``) or
    fails (``waiting: fail``); machines that are on their way are waited for either way. Every ``poll_seconds`` the
    service is asked how a job is. ``most_workers`` is how many machines one job may have.
    """

    can: ClassVar[frozenset[str]] = frozenset({"cancel", "gang", "billed"})
    name_prefix: str = Field(default="loopline", pattern="^[a-z0-9]([a-z0-9-]{0,15})$")
    waiting: Literal["wait", "fail"] = "wait"
    patience_minutes: float = 60
    poll_seconds: float = Field(default=5, gt=0)
    most_workers: int = 20
    _services: OneAProcess[Service] = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        """Connect when first asked."""
        super().model_post_init(context)
        self._services = OneAProcess(self._open)

    @abc.abstractmethod
    def _open(self) -> Service:
        """Connect to the service."""

    @abc.abstractmethod
    def _machines(self) -> Machines:
        """Return the machine types that a task may get."""

    def run(self, task: str, args: Mapping[str, Json], requirements: Requirements, key: str) -> Json:
        """Make the key's job, or find it, and wait for its answer; its log goes to standard error.

        Raises:
            TaskFailed: the task raised, or ended the process.
            Unsupported: no machine type, or not so many machines, could ever hold it.
            Overloaded: it cannot start now, and nobody shall wait. Transient: the machine was lost or taken back.
            InvalidEnvironment: the service would never take it as the environment says.
            Refused: somebody cancelled it.
        """
        packed = pack_task(Job(task, dict(args)))
        machine = smallest(self._machines(), requirements, self.most_workers)
        service = self._service()
        wanted = Order("", key, packed, args, requirements, machine)
        patience = Patience(self, names.job_name(self.name_prefix, key, 1, service.most_name_chars))
        name = Claim(service, self.name_prefix, wanted, patience, self._pause).name()
        patience.name = name
        outcome = Following(service, name, requirements.workers, patience, self._pause).outcome()
        if isinstance(outcome, Failure):
            raise outcome.error()
        return json.loads(outcome)

    def cancel(self, key: str, args: Mapping[str, Json] | None = None) -> None:  # noqa: ARG002 - all are in one account
        """End the jobs of the key and of those below it while they are at work; whoever waits for one is told."""
        service = self._service()
        room = names.room(self.name_prefix, service.most_name_chars)
        for name in service.at_work("-".join(filter(None, (self.name_prefix, names.words(key, room))))):
            look = service.look(name)
            if look is not None and (look.key == key or look.key.startswith(f"{key}/")):
                service.stop(name)

    def billed(self, key: str, args: Mapping[str, Json] | None = None) -> Billed | None:  # noqa: ARG002 - as above
        """Return what the service bills for the job that answered."""
        found = [look.billed for _, look in jobs_of(self._service(), self.name_prefix, key) if look.phase is Phase.DONE]
        return found[-1] if found else None

    def close(self) -> None:
        """Let the connections go; jobs go on."""
        if (service := self._services.taken()) is not None:
            service.close()

    def _service(self) -> Service:
        return self._services.get()

    def _pause(self) -> None:
        time.sleep(self.poll_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - so that many do not ask at once
