"""S3 folder that holds tasks and answers of SageMaker jobs."""

from __future__ import annotations

import tarfile
import zlib
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.managed_jobs.task_files import TASK, Outcome, answer_file, digest, of_workers, read_answer
from loopline.resources.sagemaker.link import Link, code, words

_NOWHERE = frozenset({"NoSuchBucket", "PermanentRedirect", "InvalidBucketName"})
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})


class Bucket:
    """Objects below ``s3://bucket/prefix``."""

    def __init__(self, link: Link, store: str, kms_key: str | None) -> None:
        self.link, self.store = link, store
        self.bucket, _, self.prefix = store.removeprefix("s3://").partition("/")
        self._encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}

    def lay(self, job: str, task: bytes) -> str:
        """Write a job's task; returns the URL of the folder that holds nothing else."""
        folder = self._key(job, f"task-{digest(task)}")
        self._call(self.link.s3.put_object, Key=f"{folder}/{TASK}", Body=task, **self._encrypted)
        return f"s3://{self.bucket}/{folder}/"

    def answer(self, job: str, workers: int) -> Outcome | None:
        """Read what a job's workers have left; None: nothing."""

        def get_object(**members: Any) -> Outcome | None:
            return _unpacked(self.link.s3.get_object(**members)["Body"], workers)

        found: Outcome | None = self._call(get_object, Key=self._key(job, "output/output.tar.gz"))
        return found

    def _key(self, job: str, name: str) -> str:
        return "/".join(part for part in (self.prefix, job, name) if part)

    def _call(self, operation: Any, **members: Any) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self.link.call(operation, Bucket=self.bucket, **members)
        except ClientError as error:
            if code(error) in _ABSENT:
                return None
            fix = "make the bucket in the region of the environment's compute, or name another 'store'"
            where = "is not there" if code(error) in _NOWHERE else "cannot be used"
            raise InvalidEnvironment(f"compute: {self.store} {where}: {words(error)}", fix) from error


def _unpacked(body: Any, workers: int) -> Outcome | None:
    ranks = {answer_file(rank): rank for rank in range(workers)}
    answers = {}
    try:
        with tarfile.open(fileobj=body, mode="r|gz") as packed:
            for member in packed:
                rank = ranks.get(member.name.removeprefix("./"))
                content = packed.extractfile(member) if rank is not None and member.isfile() else None
                said = read_answer(content.read()) if content else None
                if rank is not None and said is not None:
                    answers[rank] = (float(member.mtime), said)
    except (tarfile.TarError, EOFError, zlib.error):
        return None
    return of_workers(answers, workers)
