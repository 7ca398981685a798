"""Status of an Azure ML command job: its phase, and why it failed.

Azure Resource Manager says only that a job failed; why, and when it began and ended, the workspace's run history says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded, TaskFailed, Transient, one_line
from loopline.resources.azure_ml.request import KEY, SIZE
from loopline.resources.managed_jobs.failures import AGAIN, ended, timed_out
from loopline.resources.managed_jobs.service import Look, Phase

_PHASES = {
    "NotStarted": Phase.STARTING,
    "Starting": Phase.STARTING,
    "Provisioning": Phase.STARTING,
    "Preparing": Phase.STARTING,
    "Queued": Phase.STARTING,
    "Running": Phase.RUNNING,
    "Finalizing": Phase.RUNNING,
    "NotResponding": Phase.RUNNING,
    "Paused": Phase.RUNNING,
    "CancelRequested": Phase.ENDING,
    "Completed": Phase.DONE,
    "Failed": Phase.FAILED,
    "Canceled": Phase.ENDED,
}
WORKING = frozenset({Phase.STARTING, Phase.RUNNING})
AT_WORK = frozenset(name for name, phase in _PHASES.items() if phase in WORKING)
_EXIT = re.compile(r"(?:status|exit) code:? (-?\d+)")
_MEMORY = "out of memory", "out-of-memory", "low on memory", "outofmemory"
_TAKEN_BACK = "preempt", "evicted"
_NO_ROOM = "quota", "capacity", "allocationfailed"
_FRACTION = re.compile(r"\.(\d{1,6})\d*")
Run = Mapping[str, Any]
"""A run as the history tells it (``RunDetails``)."""


def has_ended(job: Any) -> bool:
    """Say whether the history has something to tell of a ``JobBase`` of the client."""
    return _PHASES.get(str(job.properties.status)) in {Phase.DONE, Phase.FAILED, Phase.ENDED}


def read(job: Any, run: Run | None) -> Look:
    """Read a ``JobBase``, and what the history says of it once it has ended (None: it says nothing)."""
    said = job.properties
    status, run = str(said.status), run or {}
    phase = _PHASES.get(status, Phase.STARTING)
    key = str((said.environment_variables or {}).get(KEY, ""))
    root = ((run.get("error") or {}).get("error")) or {}
    why = one_line(str(root.get("message") or ""))
    error: LooplineError | None = None
    if phase is Phase.ENDED and _took(run) >= (_limit(said) or float("inf")):
        error = timed_out(job.name, _limit(job.properties) or 0)
    elif phase is Phase.FAILED:
        error = _failed(str(job.name), str(root.get("code") or ""), why)
    return Look(phase, key, why or status, error, _billed(said, run))


def _limit(said: Any) -> float | None:
    timeout: timedelta | None = said.limits.timeout if said.limits else None
    return timeout.total_seconds() if timeout else None


def _took(run: Run) -> float:
    """Return the seconds from a run's beginning to its end; 0: it never began."""
    began, ended = run.get("startTimeUtc"), run.get("endTimeUtc")
    return (_instant(ended) - _instant(began)).total_seconds() if began and ended else 0.0


def _instant(text: str) -> datetime:
    """Read an instant of Azure's, which has seven digits of a second."""
    found = datetime.fromisoformat(_FRACTION.sub(r".\1", str(text)))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _billed(said: Any, run: Run) -> Billed | None:
    """Return what is billed: each node from when the job began to run until it ended."""
    seconds = _took(run)
    if not seconds:
        return None
    cluster = str(said.compute_id or "").rpartition("/")[2]
    nodes = int(said.resources.instance_count or 1) if said.resources else 1
    return Billed(seconds, (said.tags or {}).get(SIZE) or cluster, nodes)


def _failed(name: str, code: str, why: str) -> LooplineError:
    told, lower = f"{name} failed: {why or 'its history does not say why'}", f"{code} {why}".lower()
    if any(words in lower for words in _MEMORY):
        return TaskFailed(told, "raise memory_gb in the model's compute")
    if found := _EXIT.search(why):
        return ended(name, why, int(found[1]))
    if any(words in lower for words in _TAKEN_BACK):
        return Transient(told, f"{AGAIN}; a cluster of dedicated nodes keeps them", delay_seconds=60)
    if any(words in lower for words in _NO_ROOM):
        return Overloaded(told, "run the key again later, or list other clusters", delay_seconds=300)
    if code != "UserError":
        return Transient(told, AGAIN, delay_seconds=60)
    return InvalidEnvironment(told, "mend the environment's compute: image, python, identity, store or datastore")
