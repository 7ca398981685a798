"""Object store folder mounted into a managed job: its task, answers and logs."""

from __future__ import annotations

import abc

from loopline.resources.managed_jobs.task_files import TASK, Outcome, answer_file, digest, of_workers, read_answer

LEFT = "left"
"""The folder, below a job's own, for what its containers leave."""


class Folder(abc.ABC):
    """Objects below what an environment names as ``store``; names are relative to that, with ``/`` between."""

    @abc.abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Write an object.

        Raises:
            InvalidEnvironment: the bucket is not there, or cannot be written.
        """

    @abc.abstractmethod
    def get(self, name: str) -> bytes | None:
        """Read an object; None: there is none."""

    @abc.abstractmethod
    def names(self, beginning: str) -> dict[str, float]:
        """List the objects whose names begin so, by name, with when each was written (s since 1970)."""


def lay(folder: Folder, job: str, task: bytes) -> str:
    """Write a job's task, and return the object's name."""
    name = f"{job}/task-{digest(task)}/{TASK}"
    folder.put(name, task)
    return name


def left_by(folder: Folder, job: str, workers: int) -> Outcome | None:
    """Read what a job's workers have left; None: nothing, or nothing of ours."""
    there = folder.names(f"{job}/{LEFT}/answer-")
    answers: dict[int, tuple[float, Outcome]] = {}
    for rank in range(workers):
        name = f"{job}/{LEFT}/{answer_file(rank)}"
        content = folder.get(name) if name in there else None
        said = read_answer(content) if content else None
        if said is not None:
            answers[rank] = (there[name], said)
    return of_workers(answers, workers)
