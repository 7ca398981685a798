"""Idempotent creation of a managed job: of all callers with one key, one creates it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from loopline.platform_core.errors import InvalidEnvironment, Transient
from loopline.resources.managed_jobs.deadline import Patience, Wait
from loopline.resources.managed_jobs.names import job_name
from loopline.resources.managed_jobs.service import Look, Order, Phase, Service

_ENDING_SECONDS = 900
"""How long a job may take to end that was asked to."""


class Claim:
    """The job of one key; ``wanted`` lacks nothing but its name."""

    def __init__(
        self, service: Service, prefix: str, wanted: Order, patience: Patience, pause: Callable[[], None]
    ) -> None:
        self.service, self.prefix, self.wanted = service, prefix, wanted
        self.patience, self.pause = patience, pause

    def name(self) -> str:
        """Return the name of the key's job: at work, done with its answer, or made now, as after one that failed.

        Raises:
            Overloaded: it cannot be made now, and nobody shall wait. Transient: an earlier one does not end.
            InvalidEnvironment: the service would never take it, or the name is somebody else's.
        """
        for attempt in count(1):
            name = job_name(self.prefix, self.wanted.key, attempt, self.service.most_name_chars)
            if self._usable(name, self._found_or_made(name)):
                return name
        raise AssertionError

    def _found_or_made(self, name: str) -> Look:
        until = time.monotonic() + _ENDING_SECONDS
        while (found := self.service.look(name)) is None or found.phase is Phase.ENDING:
            if found is None and self._made(name):
                return Look(Phase.STARTING, self.wanted.key)
            if time.monotonic() > until:
                raise Transient(f"{name} was asked to end and does not", "look at it in the service's console")
            self.pause()
        return found

    def _made(self, name: str) -> bool:
        while isinstance(made := self.service.create(replace(self.wanted, name=name)), Wait):
            if error := self.patience.record_wait(made):
                raise error
            self.pause()
        self.patience.record_wait(None)
        return made

    def _usable(self, name: str, found: Look) -> bool:
        """Say whether a job can be waited for, or has its answer."""
        if found.key != self.wanted.key:
            raise InvalidEnvironment(
                f"compute: the job {name} is there, and is not for {self.wanted.key!r} but {found.key!r}",
                "name another 'name_prefix' in the environment's compute",
            )
        if found.phase is Phase.DONE:
            return self.service.answer(name, self.wanted.requirements.workers) is not None
        return found.phase in {Phase.STARTING, Phase.RUNNING}


def jobs_of(service: Service, prefix: str, key: str) -> list[tuple[str, Look]]:
    """Return the jobs that were made for a key, the first one first."""
    found: list[tuple[str, Look]] = []
    for attempt in count(1):
        name = job_name(prefix, key, attempt, service.most_name_chars)
        if (look := service.look(name)) is None:
            return found
        found.append((name, look))
    raise AssertionError
