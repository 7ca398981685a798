"""Secrets Manager's secrets keep the promises, on moto's server with signatures and rights checked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Refused, StoreUnavailable
from loopline.platform_core.testing.secrets import Mood, SecretsServerKit
from loopline.resources.aws_secrets_manager.secrets import AwsSecretsManager
from tests.emulators.aws import IDENTITY, REGION, AwsServer
from tests.emulators.faults import FaultProxy, answer, every
from tests.emulators.moods import feel

BUSY = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'


class Administrator:
    """Writes secrets, and may let rights be checked, so that the tests' own key is nobody's."""

    def __init__(self, aws: AwsServer, proxy: FaultProxy, client: Any) -> None:
        self.aws, self.proxy, self.client = aws, proxy, client
        self.checked, self.prefix = ExitStack(), uuid.uuid4().hex

    def name(self, word: str) -> str:
        return f"{self.prefix}/{word}"

    def put(self, name: str, value: str) -> None:
        self._write(name, SecretString=value)

    def put_bytes(self, name: str, value: bytes) -> bool:
        if not value:
            return False
        self._write(name, SecretBinary=value)
        return True

    def withdraw(self, name: str) -> None:
        self.client.delete_secret(SecretId=name, RecoveryWindowInDays=7)

    def feel(self, mood: Mood) -> None:
        self.checked.close()
        if mood == "refuses":
            self.checked.enter_context(self.aws.checked())
        feel(self.proxy, mood, (400, BUSY))

    def _write(self, name: str, **value: object) -> None:
        try:
            self.client.create_secret(Name=name, **value)
        except self.client.exceptions.ResourceExistsException:
            self.client.put_secret_value(SecretId=name, **value)


@pytest.fixture(scope="module")
def proxy(aws_server: AwsServer) -> Iterator[FaultProxy]:
    """Stand between client and server."""
    with FaultProxy(aws_server.url) as between:
        yield between


@pytest.fixture(scope="module")
def administration(aws_server: AwsServer) -> Any:
    """Give a client of whoever may do everything; to make one takes a second."""
    return aws_server.client("secretsmanager")


@pytest.fixture
def keeper(aws: AwsServer, proxy: FaultProxy, administration: Any) -> Iterator[Administrator]:
    """Give who writes secrets, by names that no other test has."""
    administrator = Administrator(aws, proxy, administration)
    yield administrator
    administrator.feel("well")


@pytest.fixture(scope="module")
def made(proxy: FaultProxy) -> Iterator[AwsSecretsManager]:
    """Secrets with a client, as a process has it after a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in IDENTITY.items():
            patch.setenv(name, value)
        made = AwsSecretsManager(region=REGION, endpoint_url=proxy.url, timeout_seconds=0.8)
        made.client(made._made)
        yield made
    made.close()


@pytest.fixture
def secrets(aws: AwsServer, made: AwsSecretsManager) -> AwsSecretsManager:
    """Secrets of whoever the process is."""
    made.client(made._made)
    return made


class TestAwsSecretsManager(SecretsServerKit):
    """Every promise, by boto3."""

    tested_on = "emulator: moto"


def test_rights_are_those_of_the_secret(aws: AwsServer, keeper: Administrator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read reads; who may not, whose key is unknown, and who has none is refused, each with what to do."""
    name = keeper.name("mine")
    keeper.put(name, "v")
    reads = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    reader, other = aws.user(reads), aws.user({**reads, "Action": "s3:GetObject"})
    with aws.checked():
        for key, secret in (reader, other, (reader[0], "wrong"), ("AKIAUNKNOWN", "x")):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
            made = AwsSecretsManager(region=REGION, endpoint_url=aws.url)
            if (key, secret) == reader:
                assert made.read(name).get_secret_value() == "v"
                continue
            with pytest.raises(Refused, match=name) as caught:
                made.read(name)
            assert "secretsmanager:GetSecretValue" in caught.value.fix
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    with pytest.raises(Refused, match="NoCredentials") as caught:
        AwsSecretsManager(region=REGION, endpoint_url=aws.url).read(name)
    assert "IRSA" in caught.value.fix


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch, aws: AwsServer) -> None:
    """And is said to be."""
    with pytest.raises(InvalidEnvironment, match="region"):
        AwsSecretsManager(endpoint_url=aws.url).read("kit/x")


@pytest.mark.parametrize(
    ("status", "code", "kind", "fix"),
    [
        (400, "ExpiredTokenException", Refused, "IRSA"),
        (400, "UnrecognizedClientException", Refused, "clock"),
        (400, "AccessDeniedException", Refused, "secretsmanager:GetSecretValue"),
        (400, "DecryptionFailure", Refused, "kms:Decrypt"),
        (500, "InternalServiceError", StoreUnavailable, "again"),
        (400, "SomethingNew", StoreUnavailable, "again"),
    ],
)
def test_what_the_service_answers_and_moto_does_not(  # noqa: PLR0913, PLR0917 - what comes and what follows
    secrets: AwsSecretsManager, keeper: Administrator, status: int, code: str, kind: type[LooplineError], fix: str
) -> None:
    """A session that is over, or a key that is not ours, is somebody's to mend; the rest is worth another try."""
    keeper.proxy.add(every(), answer(status, f'{{"__type": "{code}", "message": "m"}}'.encode()))
    with pytest.raises(kind, match=code) as caught:
        secrets.read("kit/x")
    assert fix in caught.value.fix
