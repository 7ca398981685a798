"""Azure ML's command jobs, as a managed job ``Service``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError
from loopline.resources.azure_ml import looks
from loopline.resources.azure_ml.container import Container
from loopline.resources.azure_ml.link import Link, code, is_of_workspace, status, words
from loopline.resources.azure_ml.request import ENVIRONMENT, command_job, image_version, installation
from loopline.resources.azure_ml.settings import Settings
from loopline.resources.managed_jobs.deadline import Wait
from loopline.resources.managed_jobs.folder import lay, left_by
from loopline.resources.managed_jobs.log_pieces import LogPieces
from loopline.resources.managed_jobs.service import Look, Order, Service
from loopline.resources.managed_jobs.task_files import Outcome

MOST_NAME_CHARS = 100
_CREATED, _NOT_FOUND = 201, 404
_TAKEN = "already exists"


class CommandJobs(Service):
    """Command jobs of one workspace, of an installation whose names begin with ``prefix``."""

    most_name_chars = MOST_NAME_CHARS

    def __init__(self, settings: Settings, prefix: str) -> None:
        self.settings, self.prefix, self.link = settings, prefix, Link(settings)
        self.container = Container(self.link)
        self._has_image = False

    def create(self, order: Order) -> bool | Wait:
        """Lay the task into the container and ask for the job: asked for twice by one name it is made once."""
        from azure.core.exceptions import HttpResponseError

        request = command_job(self.settings, order, self.prefix, lay(self.container, order.name, order.task))
        jobs = self.link.azure_ml.jobs
        try:
            self._hold_image()
            return bool(self.link.call(jobs.create_or_update, order.name, request, cls=_is_new))
        except HttpResponseError as error:
            if _TAKEN in words(error).lower():
                return False
            if "quota" in f"{code(error)} {words(error)}".lower():
                return Wait(words(error))
            raise InvalidEnvironment(
                f"compute: no command job can be made: {status(error)}: {words(error)}",
                "mend the environment's compute: workspace, clusters, image, identity or datastore",
            ) from error

    def _hold_image(self) -> None:
        """Have the image as a version of an environment; a version that is there is not asked for again."""
        from azure.core.exceptions import ResourceNotFoundError
        from azure.mgmt.machinelearningservices import models

        if self._has_image:
            return
        versions, which = self.link.azure_ml.environment_versions, (ENVIRONMENT, image_version(self.settings.image))
        try:
            self.link.call(versions.get, *which)
        except ResourceNotFoundError:
            said = models.EnvironmentVersionProperties(image=self.settings.image, os_type="Linux")
            self.link.call(versions.create_or_update, *which, models.EnvironmentVersion(properties=said))
        self._has_image = True

    def look(self, name: str) -> Look | None:
        """Ask how a job is."""
        from azure.core.exceptions import HttpResponseError

        try:
            job = self.link.call(self.link.azure_ml.jobs.get, name)
        except HttpResponseError as error:
            if status(error) == _NOT_FOUND and not is_of_workspace(error):
                return None
            raise _unforeseen(error) from error
        return looks.read(job, self.link.run_details(job) if looks.has_ended(job) else None)

    def answer(self, name: str, workers: int) -> Outcome | None:
        """Read what the job's containers have left in the container."""
        return left_by(self.container, name, workers)

    def stop(self, name: str) -> None:
        """Ask that a job end: its processes are asked first, and killed some seconds later."""
        from azure.core.exceptions import HttpResponseError

        look = self.look(name)
        if look is None or look.phase not in looks.WORKING:
            return
        try:
            self.link.call(self.link.azure_ml.jobs.begin_cancel, name, polling=False)
        except HttpResponseError as error:
            now = self.look(name)
            if now is not None and now.phase in looks.WORKING:  # else it has ended meanwhile
                raise _unforeseen(error) from error

    def at_work(self, containing: str) -> Iterator[str]:
        """Look for jobs by the installation's tag, their states and names."""
        from azure.core.exceptions import HttpResponseError

        jobs = self.link.azure_ml.jobs
        pages = self.link.call(jobs.list, tag=installation(self.prefix)).by_page()
        while True:
            try:
                page = self.link.asking.ask(lambda: next(pages, None), "list")
            except HttpResponseError as error:
                raise _unforeseen(error) from error
            if page is None:
                return
            found = [job for job in page if str(job.properties.status) in looks.AT_WORK]
            yield from (str(job.name) for job in found if containing in job.name)

    def log(self, name: str, workers: int) -> LogPieces:
        """Return a job's log."""
        return LogPieces(self.container, name, workers)

    def close(self) -> None:
        """Let the connections go."""
        self.link.close()


def _is_new(answer: Any, *_: Any) -> bool:
    """Say whether a request made the job: one whose name was there is answered otherwise."""
    return bool(answer.http_response.status_code == _CREATED)


def _unforeseen(error: Exception) -> LooplineError:
    return InvalidEnvironment(
        f"compute: {status(error)}: {words(error)}", "look at the environment's compute and its rights"
    )
