"""AWS as moto's server answers it: DynamoDB, S3, Kinesis, SQS, Secrets Manager, STS, IAM on one free port.

It holds few of the services' limits, and checks nobody's rights but within ``checked()``.
"""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.testing.parts.ports import free_port
from tests.emulators.process import Emulator, program

REGION = "eu-central-1"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "tests-secret"
NOBODY = {
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Where no credentials are found."""
IDENTITY = {**NOBODY, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
"""The environment of a process whom the server takes for somebody."""
_OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")


@cache
def _session(key: str, secret: str) -> Any:
    """Make a session once: it reads what each service is like from files, which takes a tenth of a second a client."""
    import boto3

    return boto3.session.Session(key, secret, region_name=REGION)


class AwsServer(Emulator):
    """One process that keeps everything in memory; tests share it, so each takes names of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.host = free_port(), "127.0.0.1"
        super().__init__([program("moto_server"), "-H", self.host, "-p", str(self.port)], folder)
        self.url = f"http://{self.host}:{self.port}"

    def begin(self) -> None:
        """Start it and wait until it answers."""
        self.start(lambda: self._told("GET", "/moto-api/data.json"))

    def client(self, service: str, key: str = KEY, secret: str = SECRET, **more: Any) -> Any:
        """Make boto3's client of a service, for whoever has that key."""
        return _session(key, secret).client(service, endpoint_url=self.url, **more)

    def user(self, *allowed: Mapping[str, Any]) -> tuple[str, str]:
        """Make somebody who has the rights of these statements; gives his key and secret."""
        iam, name = self.client("iam"), f"user-{uuid.uuid4().hex}"
        iam.create_user(UserName=name)
        if allowed:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(allowed)})
            iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Let signatures and rights be checked: whoever is no ``user`` is refused."""
        self._told("POST", "/moto-api/reset-auth", "0")
        try:
            yield
        finally:
            self._told("POST", "/moto-api/reset-auth", "inf")

    def _told(self, method: str, path: str, body: str | None = None) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != http.client.OK:
            raise OSError(f"{path}: {answer.status}")


@pytest.fixture(scope="module")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    """Run AWS for a file of tests."""
    server = AwsServer(tmp_path_factory.mktemp("aws"))
    server.begin()
    yield server
    server.end()


@pytest.fixture(scope="module")
def aws(aws_server: AwsServer) -> Iterator[AwsServer]:
    """Give AWS to a file of tests whose process finds credentials by the client's own chain."""
    with pytest.MonkeyPatch.context() as environment:
        for name in _OTHERS:
            environment.delenv(name, raising=False)
        for name, value in IDENTITY.items():
            environment.setenv(name, value)
        yield aws_server
