"""Task worker: runs one task from a job file, in a process, a container or a managed service.

``python -m loopline.platform_core.worker <folder>`` reads ``job.json`` there and leaves ``result.json`` or
``error.json``.
Each appears whole or not at all, so whoever looks into the folder never reads half an answer.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from loopline.platform_core.errors import InvalidSpec, LooplineError, TaskFailed, Transient, Unsupported
from loopline.platform_core.foundation.files import write
from loopline.platform_core.redaction import redacted

if TYPE_CHECKING:
    from loopline.platform_core.specs.model import Requirements

JOB = "job.json"
RESULT = "result.json"
ERROR = "error.json"
LOG = "log.txt"
_TAIL_LINES = 8


class Job(msgspec.Struct, frozen=True):
    """What is to run; ``lock`` is an inherited descriptor that stays locked while the worker lives."""

    task: str
    args: dict[str, Any]
    lock: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """What a task raised: its own words, what to do, and the end of its traceback."""

    problem: str
    fix: str
    trace: str

    def error(self, log: Path | None = None) -> TaskFailed:
        """Make the error that the caller sees."""
        where = f"; everything it wrote is in {log}" if log else ""
        return TaskFailed(self.problem, f"{self.fix}{where}; its traceback ends:\n{self.trace}")


def file_name(key: str) -> str:
    """Turn any key into a file name; two keys never share one."""
    return quote(key, safe="").replace(".", "%2E") or "%"


def call(task: str, args: Mapping[str, Any]) -> Any:
    """Run ``package.module:function`` with keyword arguments; the result has made a trip through JSON.

    Raises:
        TaskFailed: the function raised; the message is its own.
    """
    outcome = attempt(task, json.loads(_text(args)))
    if isinstance(outcome, Failure):
        raise outcome.error()
    return json.loads(outcome)


def assign(folder: Path, task: str, args: Mapping[str, Any], lock: int | None = None) -> None:
    """Leave a job in a folder for a worker; an earlier run's error goes."""
    folder.joinpath(ERROR).unlink(missing_ok=True)
    write(folder / JOB, msgspec.json.encode(Job(task, json.loads(_text(args)), lock)))


def answer(folder: Path) -> Any:
    """Read what the worker left.

    Raises:
        TaskFailed: the function raised.
        Transient: the worker ended before it had an answer.
    """
    if folder.joinpath(RESULT).exists():
        return json.loads(folder.joinpath(RESULT).read_bytes())
    if folder.joinpath(ERROR).exists():
        failure = msgspec.json.decode(folder.joinpath(ERROR).read_bytes(), type=Failure)
        raise failure.error(folder / LOG)
    raise Transient(
        f"the worker in {folder} was killed before it had an answer",
        f"run the key again, it goes on where it was; {folder / LOG} may say why",
    )


def attempt(task: str, args: Mapping[str, Any]) -> str | Failure:
    """Run a task and return its result as JSON text, or what it raised."""
    try:
        return json.dumps(resolve(task)(**args), allow_nan=False)
    except Exception as error:  # noqa: BLE001 - a team's function may raise anything
        return _failure(task, error)


def resolve(task: str) -> Any:
    """Import ``package.module:function``.

    Raises:
        InvalidSpec: there is no such function.
    """
    module, _, function = task.partition(":")
    found = getattr(importlib.import_module(module), function, None) if module and function else None
    if not callable(found):
        raise InvalidSpec(f"no function {task!r}", "write package.module:function")
    return found


def require(requirements: Requirements) -> None:
    """Refuse what this machine does not have, for all workers together.

    Raises:
        Unsupported: with what there is, and what to do.
    """
    import psutil

    memory_gb = psutil.virtual_memory().total / 1e9
    have = {"cpu": os.cpu_count() or 1, "memory_gb": round(memory_gb, 1), "gpu": len(_gpus())}
    for need, there in have.items():
        wanted = getattr(requirements, need) * requirements.workers
        if wanted > there:
            of = f" for its {requirements.workers} workers" if requirements.workers > 1 else ""
            raise Unsupported(
                f"the task needs {need}={wanted:g}{of}, this machine has {there:g}",
                f"ask for {need}={there:g} or less in all, or bind a compute vendor with larger machines",
            )


def main(folder: Path) -> None:
    """Run the folder's job and leave its answer."""
    job = msgspec.json.decode(folder.joinpath(JOB).read_bytes(), type=Job)
    if job.lock is not None:
        with contextlib.suppress(OSError):  # a job that is run again by hand has no such descriptor
            os.set_inheritable(job.lock, False)  # a process of the task's own must not keep the key locked
    outcome = attempt(job.task, job.args)
    if isinstance(outcome, Failure):
        sys.stderr.write(f"{outcome.problem}\n{outcome.trace}\n")
        write(folder / ERROR, msgspec.json.encode(outcome))
    else:
        write(folder / RESULT, outcome.encode())


def _text(args: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(args), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(f"a task's arguments are no JSON: {error}", "pass numbers, text, lists, objects") from error


def _failure(task: str, error: Exception) -> Failure:
    trace = redacted("".join(traceback.format_exception(error))).strip().splitlines()[-_TAIL_LINES:]
    own = redacted(error.problem if isinstance(error, LooplineError) else str(error))
    fix = error.fix if isinstance(error, LooplineError) else "mend the function, then run the key again"
    return Failure(f"{task} raised {type(error).__name__}: {own}", fix, "\n".join(trace))


def _gpus() -> list[Path]:
    return list(Path("/dev").glob("nvidia[0-9]*"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
