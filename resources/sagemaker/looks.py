"""Status of a SageMaker training job: its phase, and why it failed."""

from __future__ import annotations

import re
from typing import Any

from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded, TaskFailed, Transient
from loopline.resources.managed_jobs.failures import AGAIN, ended, timed_out
from loopline.resources.managed_jobs.service import Look, Phase
from loopline.resources.sagemaker.request import KEY

_CODE = re.compile(r"exit code: (\d+)")
_ALGORITHM = re.compile(r"^AlgorithmError:\s*(.*?)(?:,?\s*exit code: \d+\s*)?$", re.DOTALL)
_PHASES = {
    "Completed": Phase.DONE,
    "Failed": Phase.FAILED,
    "Stopping": Phase.ENDING,
    "Deleting": Phase.ENDING,
    "Stopped": Phase.ENDED,
}
_AT_WORK = frozenset({"Training", "Uploading", "Updating"})


def read(said: Any) -> Look:
    """Read an answer of the service."""
    status, secondary = said["TrainingJobStatus"], said["SecondaryStatus"]
    phase = _PHASES.get(status) or (Phase.RUNNING if secondary in _AT_WORK else Phase.STARTING)
    words = said.get("FailureReason") or f"{secondary}: {_message(said)}".rstrip(": ")
    key = (said.get("HyperParameters") or {}).get(KEY, "")
    return Look(phase, key, words, _error(said, phase, secondary), _billed(said))


def _message(said: Any) -> str:
    steps = said.get("SecondaryStatusTransitions") or [{}]
    return str(steps[-1].get("StatusMessage") or "")


def _billed(said: Any) -> Billed | None:
    """Return what is billed; the service's seconds are those of one machine."""
    seconds, held = said.get("BillableTimeInSeconds"), said.get("ResourceConfig") or {}
    if seconds is None or "InstanceType" not in held:
        return None
    return Billed(float(seconds), str(held["InstanceType"]), int(held.get("InstanceCount", 1)))


def _error(said: Any, phase: Phase, secondary: str) -> LooplineError | None:
    name = said["TrainingJobName"]
    if phase is Phase.FAILED:
        return _failed(name, str(said.get("FailureReason") or "it does not say why"))
    if phase is not Phase.ENDED:
        return None
    limits = said["StoppingCondition"]
    if secondary == "MaxRuntimeExceeded":
        return timed_out(name, limits.get("MaxRuntimeInSeconds", 0))
    if secondary == "MaxWaitTimeExceeded":
        hours = limits.get("MaxWaitTimeInSeconds", 0) / 3600
        return Transient(
            f"{name} had its spot machines taken back until its {hours:g} hours were over",
            "run the key again, raise spot_wait_hours, or set spot: false",
            delay_seconds=60,
        )
    return None


def _failed(name: str, why: str) -> LooplineError:
    told = f"{name} failed: {why}"
    if why.startswith("CapacityError"):
        return Overloaded(told, "run the key again later, or list other instance_types", delay_seconds=300)
    if why.startswith(("InternalServerError", "InternalError")):
        return Transient(told, AGAIN, delay_seconds=60)
    if why.startswith("ClientError"):
        return _of_environment(told)
    return _of_task(name, why)


def _of_environment(told: str) -> LooplineError:
    if "memory" in told.lower() or "disk space" in told.lower():
        return TaskFailed(told, "raise memory_gb in the model's compute, or volume_gb in the environment's")
    return InvalidEnvironment(
        told, "mend the environment's compute: image, python, role, store, subnets, security_groups or KMS keys"
    )


def _of_task(name: str, why: str) -> LooplineError:
    found, said = _CODE.search(why), _ALGORITHM.match(why)
    return ended(name, why, int(found[1]) if found else None, said[1] if said else "")
