"""Status of a Vertex AI custom job: its phase, and why it failed."""

from __future__ import annotations

import re
from typing import Any

from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded, TaskFailed, Transient, one_line
from loopline.resources.managed_jobs.failures import AGAIN, ended, timed_out
from loopline.resources.managed_jobs.service import Look, Phase
from loopline.resources.vertex.request import KEY

_PHASES = {
    "JOB_STATE_QUEUED": Phase.STARTING,
    "JOB_STATE_PENDING": Phase.STARTING,
    "JOB_STATE_RUNNING": Phase.RUNNING,
    "JOB_STATE_UPDATING": Phase.RUNNING,
    "JOB_STATE_PAUSED": Phase.RUNNING,
    "JOB_STATE_SUCCEEDED": Phase.DONE,
    "JOB_STATE_PARTIALLY_SUCCEEDED": Phase.DONE,
    "JOB_STATE_FAILED": Phase.FAILED,
    "JOB_STATE_EXPIRED": Phase.FAILED,
    "JOB_STATE_CANCELLING": Phase.ENDING,
    "JOB_STATE_CANCELLED": Phase.ENDED,
}
AT_WORK = tuple(name for name, phase in _PHASES.items() if phase in {Phase.STARTING, Phase.RUNNING})
_DEADLINE, _EXHAUSTED = 4, 8
_PASSING = frozenset({10, 13, 14})
"""Of google.rpc.Code: aborted, internal, unavailable."""
_EXIT = re.compile(r"non-zero status of (\d+)")
_MEMORY = "out-of-memory", "low on memory", "out of memory"


def read(job: Any) -> Look:
    """Read a ``CustomJob`` of the client."""
    state, why = job.state.name, one_line(job.error.message)
    phase = _PHASES.get(state, Phase.STARTING)
    words = why or state.removeprefix("JOB_STATE_").capitalize()
    error: LooplineError | None = None
    if state == "JOB_STATE_EXPIRED" or int(job.error.code) == _DEADLINE:
        error = timed_out(job.display_name, job.job_spec.scheduling.timeout.total_seconds())
    elif phase is Phase.FAILED:
        error = _failed(job, why)
    return Look(phase, _key(job), words, error, _billed(job))


def _key(job: Any) -> str:
    pools = job.job_spec.worker_pool_specs
    found = [one.value for one in pools[0].container_spec.env if one.name == KEY] if pools else []
    return found[0] if found else ""


def _billed(job: Any) -> Billed | None:
    """Return what is billed: each machine from when the job began to run until it ended."""
    if not (job.start_time and job.end_time):
        return None
    pools = job.job_spec.worker_pool_specs
    seconds = (job.end_time - job.start_time).total_seconds()
    return Billed(seconds, str(pools[0].machine_spec.machine_type), sum(int(pool.replica_count) for pool in pools))


def _failed(job: Any, why: str) -> LooplineError:
    name, code = job.display_name, int(job.error.code)
    told = f"{name} failed: {why or 'it does not say why'}"
    if any(words in why.lower() for words in _MEMORY):
        return TaskFailed(told, "raise memory_gb in the model's compute")
    if found := _EXIT.search(why):
        return ended(name, why, int(found[1]))
    if code == _EXHAUSTED:
        return Overloaded(told, "run the key again later, or list other machine_types", delay_seconds=300)
    if code in _PASSING:
        return Transient(told, AGAIN, delay_seconds=60)
    return InvalidEnvironment(
        told, "mend the environment's compute: image, python, service_account, store, network or kms_key"
    )
