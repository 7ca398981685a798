"""Interface of a managed job service (``Service``): the verbs that a compute vendor implements."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.errors import InvalidSpec, LooplineError
from loopline.platform_core.specs.model import Requirements
from loopline.resources.managed_jobs.deadline import Wait
from loopline.resources.managed_jobs.task_files import Outcome


class Phase(Enum):
    """Where a job is on its way."""

    STARTING = auto()
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()
    ENDING = auto()
    ENDED = auto()


@dataclass(frozen=True)
class Look:
    """A job as the service shows it: the key it was made for, its own words, and what is wrong if it ended badly."""

    phase: Phase
    key: str
    words: str = ""
    error: LooplineError | None = None
    billed: Billed | None = None


@dataclass(frozen=True)
class Order:
    """A job that is to be made; ``task`` is what it runs, as bytes."""

    name: str
    key: str
    task: bytes
    args: Mapping[str, Any]
    requirements: Requirements
    machine: str

    def check_key(self, most_chars: int) -> None:
        """Refuse a key that is longer than the service keeps, or than we let it become.

        Raises:
            InvalidSpec: it is.
        """
        if len(self.key) > most_chars:
            raise InvalidSpec(f"the key of {self.name} has {len(self.key)} characters", f"use {most_chars} at most")


class Lines(abc.ABC):
    """A job's log."""

    @abc.abstractmethod
    def copy(self) -> None:
        """Write to standard error what came since; what cannot be read now is read later."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Write the rest of an ended job's log, for whose last lines it waits a while."""


class Service(abc.ABC):
    """One cloud's ML service, with the object store by which it is given tasks.

    Every method tries again while the service does not answer, and raises ``StoreUnavailable`` in the end.
    """

    most_name_chars: int

    @abc.abstractmethod
    def create(self, order: Order) -> bool | Wait:
        """Make a job, its task laid down first; False: the name is taken. A wait: it cannot be made now.

        Raises:
            InvalidEnvironment: the service would never take it as it is.
        """

    @abc.abstractmethod
    def look(self, name: str) -> Look | None:
        """Return a job as it is; None: there is none."""

    @abc.abstractmethod
    def answer(self, name: str, workers: int) -> Outcome | None:
        """Return what a job that has ended has left; None: nothing."""

    @abc.abstractmethod
    def stop(self, name: str) -> None:
        """Ask that a job end; one that has ended stays as it is."""

    @abc.abstractmethod
    def at_work(self, containing: str) -> Iterable[str]:
        """Return the names of jobs that have not ended and whose name contains this."""

    @abc.abstractmethod
    def log(self, name: str, workers: int) -> Lines:
        """Return a job's log, from its first line on."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let the connections go."""
