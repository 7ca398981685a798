"""Waits for a managed job's answer: polls its status, and copies its log."""

from __future__ import annotations

from collections.abc import Callable

from loopline.platform_core.errors import LooplineError, Refused, Transient
from loopline.platform_core.worker import Failure
from loopline.resources.managed_jobs.deadline import Patience, Wait
from loopline.resources.managed_jobs.service import Look, Phase, Service
from loopline.resources.managed_jobs.task_files import Outcome


class Following:
    """Follows one job to its end."""

    def __init__(
        self, service: Service, name: str, workers: int, patience: Patience, pause: Callable[[], None]
    ) -> None:
        self.service, self.name, self.workers = service, name, workers
        self.patience, self.pause = patience, pause
        self.log = service.log(name, workers)

    def outcome(self) -> Outcome:
        """Wait for the answer.

        Raises:
            LooplineError: the job ended without one, or was not waited for any longer.
        """
        while (found := self._ended(self.service.look(self.name))) is None:
            self.pause()
        return found

    def _ended(self, look: Look | None) -> Outcome | None:
        if look is None:
            raise Transient(f"{self.name} is gone: somebody deleted it", "run the key again: it begins anew")
        if look.phase in {Phase.STARTING, Phase.RUNNING, Phase.ENDING}:
            self._goes_on(look)
            return None
        self.log.finish()
        found = self.service.answer(self.name, self.workers)
        if look.phase is Phase.DONE and found is not None:
            return found
        if look.phase is Phase.FAILED and isinstance(found, Failure):
            return found
        raise look.error or self._without_answer(look)

    def _goes_on(self, look: Look) -> None:
        if look.phase is Phase.RUNNING:
            self.log.copy()
        wait = Wait(look.words, usual=True) if look.phase is Phase.STARTING else None
        if error := self.patience.record_wait(wait):
            self.service.stop(self.name)
            raise error

    def _without_answer(self, look: Look) -> LooplineError:
        if look.phase is Phase.ENDED:
            return Refused(f"{self.name} was cancelled", "run the key again, if it shall be done after all")
        return Transient(f"{self.name} ended without an answer: {look.words}", "run the key again: it begins anew")
