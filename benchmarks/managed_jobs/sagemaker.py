"""Both sides on SageMaker: our compute, and boto3 alone."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.managed_jobs.service import ARGUMENTS, POLL_SECONDS, REQUIREMENTS, Service, order
from loopline.platform_core.testing.compute import ECHO
from loopline.resources.managed_jobs.machines import smallest
from loopline.resources.managed_jobs.names import job_name
from loopline.resources.managed_jobs.task_files import TASK, answer_file, read_answer
from loopline.resources.sagemaker.compute import SageMakerCompute
from loopline.resources.sagemaker.request import training_job
from loopline.resources.sagemaker.service import MOST_NAME_CHARS
from tests.emulators.aws import NOBODY
from tests.emulators.sagemaker_server import IMAGE, ROLE, SageMakerServer
from tests.s3_server import BUCKET, KEY, SECRET, S3Server

_REGION, _PREFIX = "eu-west-1", "bench"


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    """Run the fake and its object store."""
    os.environ.update({**NOBODY, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET})
    with ExitStack() as stack:
        (folder / "s3").mkdir(parents=True)
        (folder / "jobs").mkdir()
        s3 = S3Server(folder / "s3")
        s3.start()
        stack.callback(s3.kill)
        server = SageMakerServer(folder / "jobs", s3)
        server.program.start(lambda: urlopen(server.url).close())
        stack.callback(server.program.end)
        compute = SageMakerCompute(
            image=IMAGE,
            role=ROLE,
            store=f"s3://{BUCKET}/{_PREFIX}",
            region=_REGION,
            endpoints=server.endpoints,
            name_prefix=_PREFIX,
            poll_seconds=POLL_SECONDS,
        )
        stack.callback(compute.close)
        yield _service(compute, server.endpoints)


def _service(compute: SageMakerCompute, endpoints: dict[str, str]) -> Service:
    import boto3

    client = boto3.client("sagemaker", region_name=_REGION, endpoint_url=endpoints["sagemaker"])
    s3 = boto3.client("s3", region_name=_REGION, endpoint_url=endpoints["s3"])

    def times(name: str) -> tuple[float, float]:
        said = client.describe_training_job(TrainingJobName=name)
        return said["CreationTime"].timestamp(), said["TrainingStartTime"].timestamp()

    return Service(
        ours=lambda key: compute.run(ECHO, ARGUMENTS, REQUIREMENTS, key),
        by_hand=lambda name: _by_hand(compute, client, s3, name),
        times=times,
        name_of=lambda key: job_name(_PREFIX, key, 1, MOST_NAME_CHARS),
    )


def _by_hand(compute: SageMakerCompute, client: Any, s3: Any, name: str) -> Callable[[], Any]:
    """Write a job's request, and return what lays its task, asks for it, waits and reads its answer."""
    machine = smallest(compute.instance_types, REQUIREMENTS, 1)
    wanted, folder = order(name, machine), f"{_PREFIX}/{name}/task"
    request = training_job(compute, wanted, f"s3://{BUCKET}/{folder}/")

    def run() -> Any:
        s3.put_object(Bucket=BUCKET, Key=f"{folder}/{TASK}", Body=wanted.task)
        client.create_training_job(**request)
        while client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress":
            time.sleep(POLL_SECONDS)
        packed = s3.get_object(Bucket=BUCKET, Key=f"{_PREFIX}/{name}/output/output.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            (member,) = (one for one in files if one.name.endswith(answer_file(0)))
            content = files.extractfile(member)
            assert content is not None
            return json.loads(str(read_answer(content.read())))

    return run
