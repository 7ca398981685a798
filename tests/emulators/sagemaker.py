"""A strict fake of SageMaker's training jobs and endpoints, and of the jobs' log; no emulator has a state machine.

It holds every request and every answer against AWS's shipped models and runs the job's command as a process of this
machine, with the files, variables and hosts that SageMaker would give it; an endpoint's containers run too, and
``InvokeEndpoint`` asks them (``sagemaker_endpoints.py``). What it cannot show: rights, quotas, images,
networks, real times. ``python -m tests.emulators.sagemaker <port> <folder> <s3 url>`` takes the key of ``S3Server``.

``POST /_faults`` takes what shall go wrong: ``{"operation": name, "times": n, ...}`` with ``code``, ``status`` and
``message`` (it is answered so), or ``lost`` (it is done, and nobody is told; the connection falls ``after`` so many
seconds); ``{"operation": "job", ...}`` with ``reason`` (it fails so before it begins), ``pending`` (seconds),
``interrupt_after`` (seconds until a spot machine is taken back), ``uploads_failed`` (false: of a failed job nothing is
kept), ``log_delay`` (seconds by which its last lines are late); ``{"operation": "endpoint", ...}`` as told there.
``null`` mends all. ``GET /_requests`` tells what was asked.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import boto3

from tests.emulators.aws_model import model, problems, signer
from tests.emulators.http_server import Answer, Request, as_json
from tests.emulators.job_service import JobService, Lost, Message, Refusal, serve
from tests.emulators.sagemaker_endpoints import Endpoints, Refused
from tests.emulators.training_jobs import Account, TrainingJob
from tests.s3_server import KEY, SECRET

REGION, ACCOUNT = "eu-west-1", "123456789012"
GROUP = "/aws/sagemaker/TrainingJobs"
SERVICES = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}
INVOKED = re.compile(r"/endpoints/([^/]+)/invocations")
NOT_FOUND = "Requested resource not found."


def no(code: str, message: str, status: int = 400) -> Refusal:
    """Say no."""
    return Refusal(status, code, message)


class ModelError(Refusal):
    """A container answered with an error."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(424, "ModelError", f'Received client error ({status}) from primary with message "{said}".')
        self.more = {"OriginalStatusCode": status, "OriginalMessage": said}


class SageMaker(JobService):
    """The operations that Loopline uses, and no other."""

    kind = "application/x-amz-json-1.1"

    def __init__(self, folder: Path, s3_url: str) -> None:
        super().__init__()
        self.jobs: dict[str, TrainingJob] = {}
        s3 = boto3.client(
            "s3", endpoint_url=s3_url, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET
        )
        self.account = Account(REGION, s3, folder)
        self.endpoints = Endpoints(REGION, ACCOUNT, folder / "endpoints", self.fault)
        self.operations: dict[str, Callable[[Message], Message]] = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": lambda asked: self.job(asked).described(),
            "StopTrainingJob": self.stop,
            "ListTrainingJobs": self.listed,
            "DescribeLogStreams": self.streams,
            "GetLogEvents": self.events,
            **self.endpoints.operations,
        }

    def create(self, asked: Message) -> Message:
        """Make a job; a name is taken for ever."""
        name, limits = asked["TrainingJobName"], asked["StoppingCondition"]
        if asked.get("EnableManagedSpotTraining") and not (
            limits.get("MaxWaitTimeInSeconds", 0) >= limits.get("MaxRuntimeInSeconds", 0)
        ):
            raise no("ValidationException", "MaxWaitTimeInSeconds above or equal to MaxRuntimeInSeconds is required")
        with self.lock:
            if name in self.jobs:
                raise no("ResourceInUse", "Training job names must be unique within an AWS account and region")
            arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}"
            self.jobs[name] = TrainingJob(asked, arn, self.account, self.fault("job"))
        return {"TrainingJobArn": arn}

    def job(self, asked: Message) -> TrainingJob:
        """Find a job; the real service says that there is none as a ``ValidationException``."""
        if asked["TrainingJobName"] not in self.jobs:
            raise no("ValidationException", NOT_FOUND)
        return self.jobs[asked["TrainingJobName"]]

    def stop(self, asked: Message) -> Message:
        """Ask a job to end."""
        job = self.job(asked)
        if job.status != "InProgress":
            raise no("ValidationException", f"The request was rejected because the job is in status {job.status}")
        job.stop()
        return {}

    def listed(self, asked: Message) -> Message:
        """List by name and status, a page at a time."""
        start, most = int(asked.get("NextToken", 0)), asked.get("MaxResults", 10)
        found = [
            name
            for name, job in self.jobs.items()
            if asked.get("NameContains", "") in name and asked.get("StatusEquals", job.status) == job.status
        ]
        page = [self.jobs[name] for name in found[start : start + most]]
        more = {"NextToken": str(start + most)} if len(found) > start + most else {}
        return {"TrainingJobSummaries": [_summary(job) for job in page], **more}

    def streams(self, asked: Message) -> Message:
        """Name the log streams of a job: one for each host that has written something."""
        self.in_group(asked)
        job = self.jobs.get(asked.get("logStreamNamePrefix", "").rstrip("/"))
        found = [_stream(job, n) for n, one in enumerate(job.containers) if one.log.exists()] if job else []
        return {"logStreams": [{"logStreamName": name} for name in found]}

    def events(self, asked: Message) -> Message:
        """Return lines from where the token says; at the end the token stays what it was."""
        self.in_group(asked)
        job = self.jobs.get(asked["logStreamName"].partition("/")[0])
        for n, container in enumerate(job.containers if job else ()):
            if job and _stream(job, n) == asked["logStreamName"]:
                lines = container.lines(ended=bool(job.ended))
                late = job.how.get("log_delay", 0)
                if late and not (job.ended and time.time() > job.ended + late):
                    lines = lines[:-3]
                start = int(asked.get("nextToken", "f/0").removeprefix("f/"))
                page = lines[start : start + min(asked.get("limit", 10_000), 1000)]
                token, now = f"f/{start + len(page)}", int(time.time() * 1000)
                told = [{"timestamp": now, "message": line, "ingestionTime": now} for line in page]
                return {"events": told, "nextForwardToken": token, "nextBackwardToken": "b/0"}
        raise no("ResourceNotFoundException", "The specified log stream does not exist.")

    def in_group(self, asked: Message) -> None:
        """Refuse what is of another log group, or before there is one."""
        if asked.get("logGroupName") != GROUP or not any(job.containers for job in self.jobs.values()):
            raise no("ResourceNotFoundException", "The specified log group does not exist.")

    def refuse(self, fault: Message) -> None:
        """Refuse what shall go wrong with a code."""
        if "code" in fault:
            raise no(fault["code"], fault.get("message", "as the test asked"), fault.get("status", 400))

    def error(self, no: Refusal) -> Message:
        """Write a refusal as AWS does."""
        return {"__type": no.code, "message": no.message, **getattr(no, "more", {})}

    def headers(self, no: Refusal) -> dict[str, str]:
        """Name it once more."""
        return {"x-amzn-ErrorType": no.code}

    def given(self, request: Request) -> Answer:
        """Answer one operation, or say that it is there."""
        if request.method == "GET":
            return as_json(200, [], kind=self.kind)
        headers = request.small
        url = f"http://{headers['host']}{request.path}"
        if signer("POST", url, headers, request.body, {KEY: SECRET}) is None:
            raise no("UnrecognizedClientException", "The security token included in the request is invalid.")
        if invoked := INVOKED.fullmatch(request.path):
            return self.invoked({"EndpointName": invoked[1]}, request.body, headers)
        return as_json(200, self.done(headers.get("x-amz-target", ""), json.loads(request.body)), kind=self.kind)

    def done(self, target: str, asked: Message) -> Message:
        """Do one operation, with both messages held against the model."""
        prefix, _, name = target.partition(".")
        service = model(SERVICES[prefix]) if prefix in SERVICES else None
        if service is None or name not in service.operation_names or name not in self.operations:
            raise no("UnknownOperationException", f"{target} is not there")
        shapes = service.operation_model(name)
        if wrong := problems(shapes.input_shape, asked):
            raise no("ValidationException", f"{len(wrong)} validation errors detected: {'; '.join(wrong)[:500]}")
        self.requests.append((name, asked))
        fault = self.fault(name)
        self.refuse(fault)
        try:
            with self.lock if name in self.endpoints.operations else nullcontext():
                said = self.operations[name](asked)
        except Refused as refused:
            raise no("ValidationException", str(refused)) from refused
        if shapes.output_shape is not None and (wrong := problems(shapes.output_shape, said)):
            raise no("FakeIsWrong", "; ".join(wrong), 400)
        if fault.get("lost"):
            time.sleep(fault.get("after", 0))  # what the fault is: the connection falls late
            raise Lost
        return said

    def invoked(self, asked: Message, body: bytes, headers: dict[str, str]) -> Answer:
        """Hand a request to a container, as ``InvokeEndpoint`` does: of its headers only those that the service knows.

        Returns:
            The service's own answer.
        """
        input_shape = model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
        known = {name: shape for name, shape in input_shape.members.items() if name != "Body"}
        said = {"EndpointName": asked["EndpointName"]}
        for name, shape in known.items():
            if (value := headers.get(shape.serialization.get("name", "").lower())) is not None:
                said[name] = value
        wrong = [each for name, value in said.items() for each in problems(known[name], value, name)]
        if wrong or len(body) > input_shape.members["Body"].metadata["max"]:
            raise no("ValidationError", "; ".join(wrong) or "The body is too large", 413 if not wrong else 400)
        self.requests.append(("InvokeEndpoint", said))
        self.refuse(self.fault("InvokeEndpoint"))
        container = self.endpoints.invoked(said["EndpointName"])
        if container is None:
            raise no("ValidationError", f"Endpoint {said['EndpointName']} of account {ACCOUNT} not found.")
        handed = {"Content-Type": said.get("ContentType", ""), "Accept": said.get("Accept", "*/*")}
        if "CustomAttributes" in said:
            handed["X-Amzn-SageMaker-Custom-Attributes"] = said["CustomAttributes"]
        try:
            status, given, content = container.ask("/invocations", body, handed)
        except OSError as error:
            raise no("ServiceUnavailable", f"the container does not answer: {error}", 503) from error
        if status != 200:
            raise ModelError(status, content.decode(errors="replace"))
        named = {"content-type": given.get("content-type", ""), "x-Amzn-Invoked-Production-Variant": "loopline"}
        return Answer(200, content, named)


def _summary(job: TrainingJob) -> Message:
    said = job.described()
    return {name: said[name] for name in ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus")}


def _stream(job: TrainingJob, number: int) -> str:
    return f"{job.request['TrainingJobName']}/algo-{number + 1}-{int(job.created)}"


def main(port: int, folder: Path, s3_url: str) -> None:
    """Serve until it is ended, and endpoints' containers with it."""
    service = SageMaker(folder, s3_url)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(service, port)
    finally:
        service.endpoints.end()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
