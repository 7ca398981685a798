"""Errors of managed jobs that ended badly, the same for every service."""

from __future__ import annotations

from loopline.platform_core.errors import LooplineError, TaskFailed, Transient

AGAIN = "run the key again: it begins anew"
_KILLED = frozenset({137, 143, -9, -15})
"""128 and the signal, or the signal as Python tells it: SIGKILL, SIGTERM."""


def timed_out(name: str, seconds: float) -> LooplineError:
    """Tell of a job that was ended when its time was over."""
    return TaskFailed(f"{name} was ended after {seconds / 3600:g} hours", "raise max_runtime_hours, or have less done")


def ended(name: str, why: str, code: int | None, said: str = "") -> LooplineError:
    """Tell of a job whose process ended without an answer; ``said`` is what it says of that itself."""
    if code in _KILLED:
        return Transient(
            f"{name} was killed before it had an answer (exit code {code})",
            f"{AGAIN}; if it is killed again, raise memory_gb in the model's compute",
        )
    return TaskFailed(
        said or f"{name} ended before it had an answer: {why}",
        "look at its log above; does the image hold Loopline and the team's package, at the path that 'python' names?",
    )
