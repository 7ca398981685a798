"""What both sides of a service are asked for, and the task that they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.compute import ECHO
from loopline.platform_core.worker import Job
from loopline.resources.managed_jobs.service import Order
from loopline.resources.managed_jobs.task_files import pack_task

VALUE, POLL_SECONDS = 7, 0.1
ARGUMENTS = {"folder": "/tmp", "value": VALUE}
REQUIREMENTS = Requirements(cpu=0.5, memory_gb=0.25)


@dataclass(frozen=True)
class Service:
    """One service: runs a key's task by our compute, and a job by its client; knows when a job was made and began."""

    ours: Callable[[str], Any]
    by_hand: Callable[[str], Callable[[], Any]]
    times: Callable[[str], tuple[float, float]]
    name_of: Callable[[str], str]


def order(name: str, machine: str) -> Order:
    """Return the job that is asked for by hand: what our compute would ask for."""
    return Order(name, name, pack_task(Job(ECHO, ARGUMENTS)), ARGUMENTS, REQUIREMENTS, machine)
