"""SageMaker's training jobs, as a managed job ``Service``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.managed_jobs.deadline import Wait
from loopline.resources.managed_jobs.service import Look, Order, Service
from loopline.resources.managed_jobs.task_files import Outcome
from loopline.resources.sagemaker import looks
from loopline.resources.sagemaker.bucket import Bucket
from loopline.resources.sagemaker.link import Link, code, words
from loopline.resources.sagemaker.logs import Log
from loopline.resources.sagemaker.request import training_job
from loopline.resources.sagemaker.settings import Settings

MOST_NAME_CHARS = 63
_TAKEN, _QUOTA, _ABSENT, _INVALID = "ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound", "ValidationException"
_NOT_FOUND = "not found"


class TrainingJobs(Service):
    """Training jobs of one account and region."""

    most_name_chars = MOST_NAME_CHARS

    def __init__(self, settings: Settings) -> None:
        self.settings, self.link = settings, Link(settings)
        self.bucket = Bucket(self.link, settings.store, settings.output_kms_key)

    def create(self, order: Order) -> bool | Wait:
        """Lay the task into the bucket and ask for the job."""
        from botocore.exceptions import ClientError

        request = training_job(self.settings, order, self.bucket.lay(order.name, order.task))
        try:
            self.link.call(self.link.sagemaker.create_training_job, **request)
        except ClientError as error:
            if code(error) == _TAKEN:
                return False
            if code(error) == _QUOTA:
                return Wait(f"{_QUOTA}: {words(error)}")
            raise InvalidEnvironment(
                f"compute: no training job can be made: {code(error)}: {words(error)}",
                "mend the environment's compute: role, image, instance_types, subnets or KMS keys",
            ) from error
        return True

    def look(self, name: str) -> Look | None:
        """Ask how a job is."""
        from botocore.exceptions import ClientError

        try:
            return looks.read(self.link.call(self.link.sagemaker.describe_training_job, TrainingJobName=name))
        except ClientError as error:
            if _is_absent(error):
                return None
            raise _unforeseen(error) from error

    def answer(self, name: str, workers: int) -> Outcome | None:
        """Read what the job's containers have left in the bucket."""
        return self.bucket.answer(name, workers)

    def stop(self, name: str) -> None:
        """Ask that a job end: its containers have two minutes."""
        from botocore.exceptions import ClientError

        try:
            self.link.call(self.link.sagemaker.stop_training_job, TrainingJobName=name)
        except ClientError as error:
            if code(error) not in {_INVALID, _ABSENT}:  # it has ended already
                raise _unforeseen(error) from error

    def at_work(self, containing: str) -> Iterator[str]:
        """Look for jobs by their names."""
        from botocore.exceptions import ClientError

        asked: dict[str, Any] = {"NameContains": containing, "StatusEquals": "InProgress", "MaxResults": 100}
        while True:
            try:
                page = self.link.call(self.link.sagemaker.list_training_jobs, **asked)
            except ClientError as error:
                raise _unforeseen(error) from error
            yield from (job["TrainingJobName"] for job in page["TrainingJobSummaries"])
            if "NextToken" not in page:
                return
            asked["NextToken"] = page["NextToken"]

    def log(self, name: str, workers: int) -> Log:
        """Return a job's log."""
        return Log(self.link, name, workers)

    def close(self) -> None:
        """Let the connections go."""
        self.link.close()


def _is_absent(error: Any) -> bool:
    """Say whether there is no such job: the service says so by one of two names, whatever its model says."""
    return code(error) == _ABSENT or (code(error) == _INVALID and _NOT_FOUND in words(error).lower())


def _unforeseen(error: Any) -> InvalidEnvironment:
    return InvalidEnvironment(
        f"compute: {code(error)}: {words(error)}", "look at the environment's compute and its rights"
    )
