"""Status of a Job's pods: whether it waits and why, what it answered, and why it ended without an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loopline.platform_core.errors import LooplineError, TaskFailed, Transient
from loopline.platform_core.specs.model import Requirements

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_DISRUPTIONS = {
    "PreemptionByScheduler": "was preempted by a task of higher priority",
    "DeletionByTaintManager": "was evicted: its node became unreachable, or was taken back",
    "EvictionByEvictionAPI": "was evicted: its node is being drained",
    "DeletionByPodGC": "was lost with its node",
    "TerminationByKubelet": "was ended by its node, which runs short or shuts down",
}
_AGAIN = "run the key again: it begins anew, on another node if need be"
_KILLED = frozenset({137, 143})
"""128 and the signal: SIGKILL, SIGTERM."""


@dataclass(frozen=True)
class Wait:
    """Why a Job does not run yet, in the words of whoever said so; ``passing``: more capacity would mend it."""

    words: str
    passing: bool


@dataclass(frozen=True)
class End:
    """A pod that ended: its termination message, and what the error is if that is no answer."""

    message: str
    pod: str
    error: LooplineError


def wait(pod: Any) -> Wait | None:
    """Say why a pod does not start; None: nothing is known to be in its way."""
    if words := unscheduled(pod):
        return Wait(words, passing=True)
    waiting = _state(pod, "waiting")
    if waiting is None or waiting.reason not in _IMAGE | _CONFIG:
        return None
    return Wait(f"{waiting.reason}: {waiting.message or pod.spec.containers[0].image}", passing=False)


def event_time(event: Any) -> Any:
    """Return when an event was told last; some of Kubernetes' parts leave that out."""
    return event.last_timestamp or event.metadata.creation_timestamp


def unscheduled(pod: Any) -> str:
    """Return why the scheduler finds no node for a pod, in its own words; empty: it has not said that."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False" and condition.message:
            return str(condition.message)
    return ""


def runs(pod: Any) -> bool:
    """Say whether the container has started, or has already ended: it has a log."""
    return _state(pod, "running") is not None or _state(pod, "terminated") is not None


def placed(pod: Any) -> bool:
    """Say whether a pod has its node."""
    return bool(pod.spec.node_name)


def over(pod: Any) -> bool:
    """Say whether a pod has ended, or is being taken away and does nothing any more."""
    gone = _state(pod, "terminated") and pod.metadata.deletion_timestamp
    return pod.status.phase in {"Succeeded", "Failed"} or bool(gone)


def succeeded(pod: Any) -> bool:
    """Say whether its container ended well."""
    terminated = _state(pod, "terminated")
    return terminated is not None and terminated.exit_code == 0


def whole(pod: Any) -> bool:
    """Say whether nothing has disrupted a pod."""
    return _disruption(pod) is None


def taken_away(pod: Any) -> bool:
    """Say whether somebody deleted it, and no disruption did."""
    return bool(pod.metadata.deletion_timestamp) and _disruption(pod) is None


def ended_at(pod: Any) -> Any:
    """Return when its container ended, or when the pod was to go."""
    terminated = _state(pod, "terminated")
    known = (terminated.finished_at if terminated else None) or pod.metadata.deletion_timestamp
    return known or pod.metadata.creation_timestamp


def ended(pod: Any, requirements: Requirements) -> End | None:
    """Say how a pod ended; None: it has not."""
    if not over(pod):
        return None
    terminated = _state(pod, "terminated")
    message = (terminated.message if terminated else "") or ""
    return End(message, pod.metadata.name, _why(pod, terminated, requirements))


def gone(job: Any, pod: Any, requirements: Requirements) -> LooplineError:
    """Say why a Job failed whose pods are gone, by its condition and by the pod as it was last seen."""
    if pod is not None:
        return _why(pod, _state(pod, "terminated"), requirements)
    said = failed(job) or "its pod is gone"
    if "DisruptionTarget" in said:
        return Transient(f"{job.metadata.name} was evicted or preempted ({said})", _AGAIN)
    return Transient(f"{job.metadata.name} ended without an answer: {said}", _AGAIN)


def failed(job: Any) -> str | None:
    """Return why a Job failed, in the controller's words; None: it has not."""
    return next((f"{one.reason}: {one.message}" for one in _true(job, "Failed")), None)


def complete(job: Any) -> bool:
    """Say whether a Job succeeded."""
    return bool(_true(job, "Complete"))


def _true(job: Any, kind: str) -> list[Any]:
    return [one for one in job.status.conditions or () if one.type == kind and one.status == "True"]


def _why(pod: Any, terminated: Any, requirements: Requirements) -> LooplineError:
    name = pod.metadata.name
    if terminated and terminated.reason == "OOMKilled":
        return TaskFailed(
            f"{name} needs more than {requirements.memory_gb:g} GB of memory, and was killed",
            f"raise memory_gb in the model's compute: it is {requirements.memory_gb:g} now",
        )
    if pod.status.reason == "Evicted":
        return _evicted(pod)
    if disruption := _disruption(pod):
        return Transient(f"{name} {disruption}", _AGAIN)
    code = terminated.exit_code if terminated else None
    if code is None or code in _KILLED:
        return Transient(f"{name} was killed before it had an answer (exit code {code})", _AGAIN)
    said = f" {terminated.reason}: {terminated.message}" if terminated.message else ""
    return TaskFailed(
        f"{name} ended with exit code {code} before it had an answer:{said or ' ' + str(terminated.reason)}",
        "look at its log above; does the image hold Loopline and the team's package, at the path that 'python' names?",
    )


def _evicted(pod: Any) -> LooplineError:
    said = str(pod.status.message or "").strip()
    name = pod.metadata.name
    if "ephemeral" in said.lower() or "emptyDir" in said:
        return TaskFailed(
            f"{name} was evicted for the disk it used: {said}", "write less, or raise ephemeral_storage_gb"
        )
    return Transient(f"{name} was evicted: {said}", _AGAIN)


def _disruption(pod: Any) -> str | None:
    for condition in pod.status.conditions or ():
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return f"{_DISRUPTIONS.get(condition.reason, condition.reason)} ({condition.message})"
    return None


def _state(pod: Any, which: str) -> Any:
    statuses = pod.status.container_statuses or ()
    return getattr(statuses[0].state, which) if statuses else None
