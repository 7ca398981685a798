"""Task payload encoding: the task in an annotation of its Job, the answer in the pod's termination message.

The task is an annotation of the Job's pods. The answer is the container's termination message, which the kubelet reads
from a file when the container ends; one that is too long for that stands in the log, and the message says how to find
it and what its digest is. ``docs/decisions`` says why.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.worker import Failure, Job

MOST_TASK_BYTES = 200_000
"""Of annotations Kubernetes takes 256 KiB in all."""
MOST_MESSAGE_BYTES = 4096
"""The kubelet cuts a termination message there."""
MOST_ANSWER_BYTES = 4_000_000
"""A container's log is begun anew at 10 MiB."""
LINE = "loopline-answer "
"""What a line of the log begins with that is part of an answer."""
_LINE_BYTES = 8000


@dataclass(frozen=True)
class Answer:
    """What a task came to: its result as JSON text, or how it failed."""

    outcome: str | Failure


@dataclass(frozen=True)
class InLog:
    """An answer that stands in the log: its number of lines, and the digest of what they hold."""

    lines: int
    digest: str


def pack_task(job: Job) -> str:
    """Write a task as an annotation.

    Raises:
        InvalidSpec: its arguments are no JSON, or too many bytes.
    """
    try:
        text = json.dumps({"task": job.task, "args": job.args}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(f"a task's arguments are no JSON: {error}", "pass numbers, text, lists, objects") from error
    packed = _pack(text)
    if len(packed) > MOST_TASK_BYTES:
        raise InvalidSpec(
            f"the arguments of {job.task} take {len(packed)} bytes packed, a Job carries {MOST_TASK_BYTES}",
            "put the data into the lake, and pass the table's name and version",
        )
    return packed


def unpack_task(text: str) -> Job:
    """Read a task from an annotation."""
    data = json.loads(_unpack(text))
    return Job(data["task"], data["args"])


def pack_answer(answer: Answer) -> tuple[str, list[str]]:
    """Write an answer: the termination message, and lines that must stand in the log before (none: it fits).

    An answer that is too large even for the log becomes a failure that says so.
    """
    packed = _pack(_text(answer))
    if len(packed) <= MOST_MESSAGE_BYTES - len('{"answer": ""}'):
        return json.dumps({"answer": packed}), []
    if len(packed) > MOST_ANSWER_BYTES:
        problem = f"the task returned {len(packed)} bytes packed, a pod's log carries {MOST_ANSWER_BYTES}"
        fix = "return less: write data into the lake or the registry, and return where it is"
        return pack_answer(Answer(Failure(problem, fix, "")))
    chunks = [packed[start : start + _LINE_BYTES] for start in range(0, len(packed), _LINE_BYTES)]
    message = {"lines": len(chunks), "digest": _digest(packed)}
    return json.dumps(message), [LINE + chunk for chunk in chunks]


def unpack_answer(message: str) -> Answer | InLog | None:
    """Read a termination message; None: it is none of ours, as when the container was killed."""
    try:
        data = json.loads(message)
        if "answer" in data:
            return _answer(data["answer"])
        return InLog(int(data["lines"]), str(data["digest"]))
    except (ValueError, KeyError, TypeError, zlib.error):
        return None


def from_log(place: InLog, lines: Sequence[str]) -> Answer | None:
    """Find an answer in the end of a log; None: it is not there whole."""
    chunks = [line.removeprefix(LINE) for line in lines if line.startswith(LINE)][-place.lines :]
    packed = "".join(chunks)
    return _answer(packed) if _digest(packed) == place.digest else None


def pack_annotation(answer: Answer) -> str:
    """Write an answer as an annotation of its Job, where it outlives the pod; empty if it is too large for that."""
    packed = _pack(_text(answer))
    return packed if len(packed) <= MOST_TASK_BYTES else ""


def unpack_annotation(packed: str) -> Answer:
    """Read what ``pack_annotation`` wrote."""
    return _answer(packed)


def _text(answer: Answer) -> str:
    outcome = answer.outcome
    if isinstance(outcome, Failure):
        return json.dumps({"problem": outcome.problem, "fix": outcome.fix, "trace": outcome.trace})
    return json.dumps({"result": outcome})


def _answer(packed: str) -> Answer:
    data: Mapping[str, Any] = json.loads(_unpack(packed))
    if "result" in data:
        return Answer(str(data["result"]))
    return Answer(Failure(data["problem"], data["fix"], data["trace"]))


def _pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpack(packed: str) -> str:
    return zlib.decompress(base64.b64decode(packed)).decode()


def _digest(packed: str) -> str:
    return hashlib.sha256(packed.encode()).hexdigest()
