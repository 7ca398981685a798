"""Vertex AI's custom jobs, as a managed job ``Service``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError
from loopline.resources.managed_jobs.deadline import Wait
from loopline.resources.managed_jobs.folder import lay, left_by
from loopline.resources.managed_jobs.log_pieces import LogPieces
from loopline.resources.managed_jobs.service import Look, Order, Service
from loopline.resources.managed_jobs.task_files import Outcome
from loopline.resources.vertex import looks
from loopline.resources.vertex.bucket import Bucket
from loopline.resources.vertex.claims import Claims
from loopline.resources.vertex.link import Link, is_of_machines, status, words
from loopline.resources.vertex.request import INSTALLATION, NAME, custom_job
from loopline.resources.vertex.settings import Settings

MOST_NAME_CHARS = 63
"""A label's value may have so many."""
_NOT_FOUND, _BAD_REQUEST = 404, 400


class CustomJobs(Service):
    """Custom jobs of one project and location, of an installation whose names begin with ``prefix``."""

    most_name_chars = MOST_NAME_CHARS

    def __init__(self, settings: Settings, prefix: str) -> None:
        self.settings, self.prefix, self.link = settings, prefix, Link(settings)
        self.bucket = Bucket(self.link, settings.store)
        self.claims = Claims(self.bucket)
        self._jobs: dict[str, str] = {}

    def create(self, order: Order) -> bool | Wait:
        """Claim the name, lay the task into the bucket and ask for the job."""
        from google.api_core.exceptions import GoogleAPICallError

        claim = self.claims.take(order.name, lambda job: self._got(job) is not None)
        if claim is None:
            return False
        request = custom_job(self.settings, order, self.prefix, lay(self.bucket, order.name, order.task))
        try:
            made = self._made(order.name, request)
        except GoogleAPICallError as error:
            self.claims.release(order.name, claim)
            if is_of_machines(error):
                return Wait(words(error))
            raise InvalidEnvironment(
                f"compute: no custom job can be made: {status(error)}: {words(error)}",
                "mend the environment's compute: image, machine_types, service_account, network or kms_key",
            ) from error
        except InvalidEnvironment:
            self.claims.release(order.name, claim)
            raise
        if not self.claims.made(order.name, claim, made):  # whoever took it over makes another one
            self._cancel(made)
            return False
        self._jobs[order.name] = made
        return True

    def _made(self, name: str, request: Any) -> str:
        """Ask for the job, and before each further time whether it was made although nobody was told."""
        asked = False

        def ask() -> str:
            nonlocal asked
            if asked and (found := self._labelled(name)):
                return found
            asked = True
            create, parent = self.link.jobs.create_custom_job, self.link.parent
            return str(self.link.once(create, parent=parent, custom_job=request).name)

        return self.link.asking.ask(ask, "create_custom_job")

    def _labelled(self, name: str) -> str | None:
        """Find a job by its label; of several the first that was made."""
        found = list(self._listed(f"labels.{NAME}={name}"))
        return str(min(found, key=lambda job: job.create_time).name) if found else None

    def look(self, name: str) -> Look | None:
        """Ask how a job is."""
        job = self._jobs.get(name) or self._claimed(name)
        found = None if job is None else self._got(job)
        if job is None or found is None:
            self._jobs.pop(name, None)
            return None
        self._jobs[name] = job
        return looks.read(found)

    def _got(self, job: str) -> Any:
        from google.api_core.exceptions import GoogleAPICallError

        try:
            return self.link.call(self.link.jobs.get_custom_job, name=job)
        except GoogleAPICallError as error:
            if status(error) == _NOT_FOUND:
                return None
            raise _unforeseen(error) from error

    def _claimed(self, name: str) -> str | None:
        """Return the job of a claim; whose caller could not write it down, that by its label."""
        claim = self.claims.read(name)
        return None if claim is None else claim.job or self._labelled(name)

    def answer(self, name: str, workers: int) -> Outcome | None:
        """Read what the job's containers have left in the bucket."""
        return left_by(self.bucket, name, workers)

    def stop(self, name: str) -> None:
        """Ask that a job end: its containers are asked first, and killed some seconds later."""
        if job := self._jobs.get(name) or self._claimed(name):
            self._cancel(job)

    def _cancel(self, job: str) -> None:
        from google.api_core.exceptions import GoogleAPICallError

        try:
            self.link.call(self.link.jobs.cancel_custom_job, name=job)
        except GoogleAPICallError as error:
            if status(error) not in {_NOT_FOUND, _BAD_REQUEST}:  # it has ended already
                raise _unforeseen(error) from error

    def at_work(self, containing: str) -> Iterator[str]:
        """Look for jobs by their states and names."""
        for state in looks.AT_WORK:
            for job in self._listed(f'labels.{INSTALLATION}={self.prefix} AND state="{state}"'):
                if containing in job.display_name:
                    self._jobs[job.display_name] = job.name
                    yield job.display_name

    def _listed(self, which: str) -> Iterator[Any]:
        from google.api_core.exceptions import GoogleAPICallError

        token = ""
        while True:
            asked = {"parent": self.link.parent, "filter": which, "page_size": 100, "page_token": token}
            try:
                page = next(self.link.call(self.link.jobs.list_custom_jobs, **asked).pages)
            except GoogleAPICallError as error:
                raise _unforeseen(error) from error
            yield from page.custom_jobs
            if not (token := page.next_page_token):
                return

    def log(self, name: str, workers: int) -> LogPieces:
        """Return a job's log."""
        return LogPieces(self.bucket, name, workers)

    def close(self) -> None:
        """Let the connections go."""
        self.link.close()


def _unforeseen(error: Exception) -> LooplineError:
    return InvalidEnvironment(
        f"compute: {status(error)}: {words(error)}", "look at the environment's compute and its rights"
    )
