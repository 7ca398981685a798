"""SageMaker as a strict fake that runs the jobs, its objects in a real S3 server: fixtures for who imports them."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from loopline.platform_core.testing.parts.ports import free_ports
from loopline.resources.sagemaker.compute import SageMakerCompute
from tests.emulators.process import Emulator, Faulty
from tests.s3_server import BUCKET, KEY, SECRET, S3Server

ROLE = "arn:aws:iam::123456789012:role/loopline-training"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/loopline:tests"


class SageMakerServer(Faulty):
    """The fake's process, and what a test says to it."""

    def __init__(self, folder: Path, s3: S3Server, role: Mapping[str, str] | None = None) -> None:
        """Be ready to start; ``role`` are variables of which every job has the same, as it has its identity."""
        self.s3, port = s3, free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        self.endpoints = {"sagemaker": self.url, "logs": self.url, "s3": s3.url}
        self.hosting = {"sagemaker": self.url, "sagemaker-runtime": self.url}
        command = [sys.executable, "-m", "tests.emulators.sagemaker", str(port), str(folder), s3.url]
        self.program = Emulator(command, folder, {f"ROLE_{name}": value for name, value in (role or {}).items()})

    def start(self) -> None:
        """Start it."""
        self.program.start(lambda: urlopen(self.url).close())


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run an object store of these tests' own."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[SageMakerServer]:
    """Run the fake for a file of tests: what goes on running costs all that come after."""
    found = SageMakerServer(tmp_path_factory.mktemp("sagemaker"), s3)
    found.start()
    yield found
    found.program.end_gently()


@pytest.fixture
def bound(server: SageMakerServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SageMakerCompute]:
    """Bind the vendor with credentials as its client looks for them, to a folder and names of this test alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    server.mend()
    own = uuid.uuid4().hex[:8]

    def bind(**more: Any) -> SageMakerCompute:
        settings = {
            "image": IMAGE,
            "role": ROLE,
            "store": f"s3://{BUCKET}/{own}",
            "region": "eu-west-1",
            "endpoints": server.endpoints,
            "name_prefix": f"t{own}",
            "poll_seconds": 0.1,
            "api_patience_seconds": 5,
        }
        return SageMakerCompute(**{**settings, **more})

    return bind
