"""The state machine of SageMaker's training jobs: each status with its time, and containers that run for real."""

from __future__ import annotations

import io
import math
import tarfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.emulators.training_container import Container, hosts

GRACE_SECONDS = 5
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Account:
    """Where jobs run: the region's name, a client of its object store, and a folder for what machines would hold."""

    region: str
    s3: Any
    folder: Path


class Failed(Exception):  # noqa: N818 - a way to end, not what is wrong here
    """The job fails with a reason."""


class TrainingJob:
    """One job; ``how`` is what shall go wrong with it (``SageMaker`` tells the kinds)."""

    def __init__(self, request: dict[str, Any], arn: str, account: Account, how: dict[str, Any]) -> None:
        self.request, self.arn, self.how = request, arn, how
        self.region, self.s3 = account.region, account.s3
        self.folder = account.folder / request["TrainingJobName"]
        self.created, self.ended, self.began = time.time(), 0.0, 0.0
        self.status, self.secondary, self.reason = "InProgress", "Starting", ""
        self.transitions: list[dict[str, Any]] = []
        self.containers: list[Container] = []
        self.stopping = threading.Event()
        self.step("Starting", "Starting the training job")
        threading.Thread(target=self._live, daemon=True).start()

    def step(self, secondary: str, message: str) -> None:
        """Enter a secondary status."""
        now = time.time()
        if self.transitions:
            self.transitions[-1]["EndTime"] = now
        self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
        self.secondary = secondary

    def stop(self) -> None:
        """Ask it to end."""
        self.status = "Stopping"
        self.step("Stopping", "Stopping the training job")
        self.stopping.set()

    def _live(self) -> None:
        try:
            ended = self._run()
        except Failed as failed:
            self.reason, ended = str(failed), "Failed"
        except Exception as error:  # noqa: BLE001 - what the fake itself cannot do
            self.reason, ended = f"InternalServerError: {error!r}", "Failed"
        self.ended = time.time()
        self.step(ended, self.reason)
        self.status = "Stopped" if ended.startswith("Max") else ended

    def _run(self) -> str:
        while True:
            if ended := self._prepare() or self._train():
                return ended
            self.step("Interrupted", "The spot machines were taken back")  # and begins again

    def _prepare(self) -> str:
        self._pause(self.how.get("delay", 0.05))
        if self.how.get("pending"):
            self.step("Pending", "Waiting for capacity")
            self._pause(self.how["pending"])
        if reason := self.how.pop("reason", ""):
            raise Failed(reason)
        if self.stopping.is_set():
            return "Stopped"
        if self._too_long("MaxWaitTimeInSeconds", self.created):
            return "MaxWaitTimeExceeded"
        self.step("Downloading", "Downloading input data")
        names = hosts(self.request["ResourceConfig"]["InstanceCount"])
        self.containers = [
            Container(self.request, name, names, self.folder / f"host-{n}") for n, name in enumerate(names)
        ]
        for channel in self.request.get("InputDataConfig", ()):
            self._download(channel)
        return ""

    def _download(self, channel: dict[str, Any]) -> None:
        url = channel["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        if not found:
            raise Failed(f"ClientError: Data download failed: No S3 objects found under S3 URL {url!r}")
        for one in found:
            content = self.s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            for container in self.containers:
                container.lay(channel["ChannelName"], one["Key"].removeprefix(prefix), content)

    def _train(self) -> str:
        """Run the containers; empty: they were taken back."""
        self.step("Training", "Training image download completed. Training in progress.")
        self.began = self.began or time.time()
        for container in self.containers:
            container.start(self.region, self.arn)
        end, since = "", time.time()
        while not end and any(one.code is None for one in self.containers):
            time.sleep(_LOOK_SECONDS)  # between two looks at containers that tell nobody
            end = self._interruption(since)
        for container in self.containers:
            container.end(GRACE_SECONDS if end in {"Stopped", "MaxRuntimeExceeded"} else 0)
        if end == "Interrupted":
            return ""
        fallen = [one for one in self.containers if one.code] if end in {"", "Failed"} else []
        self._upload(failed=bool(fallen))
        if fallen:
            first = next((one for one in fallen if one.failure), fallen[0])
            code = first.code if first.failure or len(fallen) == 1 else self.first_code
            raise Failed(f"AlgorithmError: {first.failure}, exit code: {code}")
        return end or "Completed"

    def _interruption(self, since: float) -> str:
        """Say why the containers shall end now; empty: they shall not."""
        if self.stopping.is_set():
            return "Stopped"
        codes = [one.code for one in self.containers if one.code]
        if codes:
            self.first_code = codes[0]
            return "Failed"
        if self._too_long("MaxRuntimeInSeconds", self.began):
            return "MaxRuntimeExceeded"
        if time.time() - since > self.how.get("interrupt_after", math.inf):
            self.how.pop("interrupt_after")
            return "Interrupted"
        return ""

    def _upload(self, *, failed: bool) -> None:
        files = {path.name: path for one in self.containers for path in one.output()}
        if not files or (failed and not self.how.get("uploads_failed", True)):
            return
        self.step("Uploading", "Uploading generated training model")
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as packed:
            for name, path in files.items():
                packed.add(path, name)
        bucket, _, prefix = self.request["OutputDataConfig"]["S3OutputPath"].removeprefix("s3://").partition("/")
        key = "/".join(part for part in (prefix, self.request["TrainingJobName"], "output/output.tar.gz") if part)
        self.s3.put_object(Bucket=bucket, Key=key, Body=content.getvalue())

    def _too_long(self, limit: str, since: float) -> bool:
        return time.time() - since > self.request["StoppingCondition"].get(limit, math.inf)

    def _pause(self, seconds: float) -> None:
        self.stopping.wait(seconds)

    def described(self) -> dict[str, Any]:
        """Return the job as ``DescribeTrainingJob`` does."""
        left = {"Tags"}
        said = {name: value for name, value in self.request.items() if name not in left}
        said |= {
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "SecondaryStatusTransitions": [{**one} for one in self.transitions],
            "CreationTime": self.created,
            "ModelArtifacts": {"S3ModelArtifacts": f"{self.request['OutputDataConfig']['S3OutputPath']}/model.tar.gz"},
        }
        if self.reason and self.status == "Failed":
            said["FailureReason"] = self.reason[:1024]
        if self.ended:
            said["TrainingEndTime"] = self.ended
            if self.began:
                seconds = max(1, math.ceil(self.ended - self.began))
                said |= {
                    "TrainingStartTime": self.began,
                    "TrainingTimeInSeconds": seconds,
                    "BillableTimeInSeconds": seconds,
                }
        return said
