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
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from tests.emulators.aws_model import model, problems, signer
from tests.emulators.job_service import taken
from tests.emulators.sagemaker_endpoints import Endpoints, Refused
from tests.emulators.training_jobs import Account, TrainingJob
from tests.s3_server import KEY, SECRET

REGION, ACCOUNT = "eu-west-1", "123456789012"
GROUP = "/aws/sagemaker/TrainingJobs"
SERVICES = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}
INVOKED = re.compile(r"/endpoints/([^/]+)/invocations")
NOT_FOUND = "Requested resource not found."
Message = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - what the service does, not what is wrong here
    """The service says no."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class ModelError(Refusal):
    """A container answered with an error."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__("ModelError", f'Received client error ({status}) from primary with message "{said}".', 424)
        self.more = {"OriginalStatusCode": status, "OriginalMessage": said}


class Lost(Exception):  # noqa: N818 - as above
    """The answer does not arrive."""


class SageMaker:
    """The operations that Loopline uses, and no other."""

    def __init__(self, folder: Path, s3_url: str) -> None:
        self.lock = threading.Lock()
        self.jobs: dict[str, TrainingJob] = {}
        self.faults: list[Message] = []
        self.requests: list[tuple[str, Message]] = []
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
            raise Refusal(
                "ValidationException", "MaxWaitTimeInSeconds above or equal to MaxRuntimeInSeconds is required"
            )
        with self.lock:
            if name in self.jobs:
                raise Refusal("ResourceInUse", "Training job names must be unique within an AWS account and region")
            arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}"
            self.jobs[name] = TrainingJob(asked, arn, self.account, self.fault("job") or {})
        return {"TrainingJobArn": arn}

    def job(self, asked: Message) -> TrainingJob:
        """Find a job; the real service says that there is none as a ``ValidationException``."""
        if asked["TrainingJobName"] not in self.jobs:
            raise Refusal("ValidationException", NOT_FOUND)
        return self.jobs[asked["TrainingJobName"]]

    def stop(self, asked: Message) -> Message:
        """Ask a job to end."""
        job = self.job(asked)
        if job.status != "InProgress":
            raise Refusal("ValidationException", f"The request was rejected because the job is in status {job.status}")
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
        raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")

    def in_group(self, asked: Message) -> None:
        """Refuse what is of another log group, or before there is one."""
        if asked.get("logGroupName") != GROUP or not any(job.containers for job in self.jobs.values()):
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")

    def fault(self, operation: str) -> Message | None:
        """Take what shall go wrong now."""
        return taken(self.faults, operation)

    def answer(self, target: str, asked: Message) -> Message:
        """Do one operation, with both messages held against the model."""
        prefix, _, name = target.partition(".")
        service = model(SERVICES[prefix]) if prefix in SERVICES else None
        if service is None or name not in service.operation_names or name not in self.operations:
            raise Refusal("UnknownOperationException", f"{target} is not there")
        shapes = service.operation_model(name)
        if wrong := problems(shapes.input_shape, asked):
            raise Refusal("ValidationException", f"{len(wrong)} validation errors detected: {'; '.join(wrong)[:500]}")
        self.requests.append((name, asked))
        fault = self.fault(name) or {}
        if "code" in fault:
            raise Refusal(fault["code"], fault.get("message", "as the test asked"), fault.get("status", 400))
        try:
            with self.lock if name in self.endpoints.operations else nullcontext():
                said = self.operations[name](asked)
        except Refused as no:
            raise Refusal("ValidationException", str(no)) from no
        if shapes.output_shape is not None and (wrong := problems(shapes.output_shape, said)):
            raise Refusal("FakeIsWrong", "; ".join(wrong), 400)
        if fault.get("lost"):
            time.sleep(fault.get("after", 0))
            raise Lost
        return said

    def invoked(self, asked: Message, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Hand a request to a container, as ``InvokeEndpoint`` does: of its headers only those that the service knows.

        Returns:
            Status, headers and body of the service's own answer.
        """
        input_shape = model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
        known = {name: shape for name, shape in input_shape.members.items() if name != "Body"}
        said = {"EndpointName": asked["EndpointName"]}
        for name, shape in known.items():
            if (value := headers.get(shape.serialization.get("name", "").lower())) is not None:
                said[name] = value
        wrong = [each for name, value in said.items() for each in problems(known[name], value, name)]
        if wrong or len(body) > input_shape.members["Body"].metadata["max"]:
            raise Refusal("ValidationError", "; ".join(wrong) or "The body is too large", 413 if not wrong else 400)
        self.requests.append(("InvokeEndpoint", said))
        fault = self.fault("InvokeEndpoint") or {}
        if "code" in fault:
            raise Refusal(fault["code"], fault.get("message", "as the test asked"), fault.get("status", 400))
        container = self.endpoints.invoked(said["EndpointName"])
        if container is None:
            raise Refusal("ValidationError", f"Endpoint {said['EndpointName']} of account {ACCOUNT} not found.")
        handed = {"Content-Type": said.get("ContentType", ""), "Accept": said.get("Accept", "*/*")}
        if "CustomAttributes" in said:
            handed["X-Amzn-SageMaker-Custom-Attributes"] = said["CustomAttributes"]
        try:
            status, given, content = container.ask("/invocations", body, handed)
        except OSError as error:
            raise Refusal("ServiceUnavailable", f"the container does not answer: {error}", 503) from error
        if status != 200:
            raise ModelError(status, content.decode(errors="replace"))
        named = {"content-type": given.get("content-type", ""), "x-Amzn-Invoked-Production-Variant": "loopline"}
        return 200, named, content


def _summary(job: TrainingJob) -> Message:
    said = job.described()
    return {name: said[name] for name in ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus")}


def _stream(job: TrainingJob, number: int) -> str:
    return f"{job.request['TrainingJobName']}/algo-{number + 1}-{int(job.created)}"


class Handler(BaseHTTPRequestHandler):
    """HTTP around it."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Headers and body leave together: in two pieces the second waits 40 ms for the client's word on the first."""
    sagemaker: SageMaker

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Tell the test what was asked; and that it is there."""
        self._send(200, self.sagemaker.requests if self.path == "/_requests" else [])

    def do_POST(self) -> None:
        """Answer one operation, or take a fault."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/_faults":
            fault = json.loads(body)
            self.sagemaker.faults[:] = [*self.sagemaker.faults, fault] if fault else []
            return self._send(200, {})
        try:
            self._refuse_unsigned(body)
            if invoked := INVOKED.fullmatch(self.path):
                headers = {name.lower(): value for name, value in self.headers.items()}
                return self._give(*self.sagemaker.invoked({"EndpointName": invoked[1]}, body, headers))
            return self._send(200, self.sagemaker.answer(self.headers.get("X-Amz-Target", ""), json.loads(body)))
        except Refusal as no:
            said = {"__type": no.code, "message": no.message, **getattr(no, "more", {})}
            return self._send(no.status, said, {"x-amzn-ErrorType": no.code})
        except Lost:
            self.close_connection = True
            return None

    def _refuse_unsigned(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if signer("POST", f"http://{headers['host']}{self.path}", headers, body, {KEY: SECRET}) is None:
            raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")

    def _send(self, status: int, message: Any, headers: dict[str, str] | None = None) -> None:
        given = {"Content-Type": "application/x-amz-json-1.1", **(headers or {})}
        self._give(status, given, json.dumps(message).encode())

    def _give(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(port: int, folder: Path, s3_url: str) -> None:
    """Serve until it is ended."""
    Handler.sagemaker = SageMaker(folder, s3_url)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
    finally:
        Handler.sagemaker.endpoints.end()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
