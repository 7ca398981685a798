"""Task and answer files of a managed job."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.files import write
from loopline.platform_core.worker import Failure, Job

TASK = "task.json"
MOST_ANSWER_BYTES = 64_000_000
Outcome = str | Failure
"""A result as JSON text, or what was raised."""


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    result: str | None = None
    failure: Failure | None = None


def pack_task(job: Job) -> bytes:
    """Write a task.

    Raises:
        InvalidSpec: its arguments are no JSON.
    """
    try:
        return json.dumps({"task": job.task, "args": job.args}, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidSpec(f"a task's arguments are no JSON: {error}", "pass numbers, text, lists, objects") from error


def unpack_task(content: bytes) -> Job:
    """Read a task."""
    return msgspec.json.decode(content, type=Job)


def digest(content: bytes) -> str:
    """Return what tells a task from every other one."""
    return hashlib.sha256(content).hexdigest()[:16]


def answer_file(rank: int) -> str:
    """Name the answer of one worker: files of several workers come to lie in one folder."""
    return f"answer-{rank}.json"


def write_answer(folder: Path, rank: int, outcome: Outcome) -> None:
    """Leave an answer, whole or not at all; a result that is too large becomes a failure that says so."""
    if isinstance(outcome, str) and len(outcome) > MOST_ANSWER_BYTES:
        problem = f"the task returned {len(outcome)} bytes, an answer may have {MOST_ANSWER_BYTES}"
        outcome = Failure(problem, "return less: write data into the lake, and return where it is", "")
    answer = _Answer(failure=outcome) if isinstance(outcome, Failure) else _Answer(result=outcome)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / answer_file(rank), msgspec.json.encode(answer))


def read_answer(content: bytes) -> Outcome | None:
    """Read an answer; None: it is none of ours."""
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except msgspec.DecodeError:
        return None
    return answer.failure if answer.failure is not None else answer.result


def of_workers(answers: dict[int, tuple[float, Outcome]], workers: int) -> Outcome | None:
    """Choose among the answers of a job's workers, each with when it was written (seconds since 1970).

    The first failure is everybody's, and says whose it is; else the first worker's result is the task's.
    """
    fallen = [(at, rank, said) for rank, (at, said) in answers.items() if isinstance(said, Failure)]
    if not fallen:
        return answers[0][1] if 0 in answers else None
    _, rank, said = min(fallen, key=lambda one: one[:2])
    return said if workers == 1 else Failure(f"rank {rank} of {workers}: {said.problem}", said.fix, said.trace)
