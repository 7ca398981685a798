"""Secret Manager's secrets keep the promises, on a strict fake of the service over TLS."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import pytest

from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused
from loopline.platform_core.testing.secrets import Mood, SecretsServerKit
from loopline.resources.google_secret_manager.secrets import GoogleSecretManager
from tests.emulators.secret_manager import PROJECT, SecretManager


class Administrator:
    """Adds versions."""

    def __init__(self, service: SecretManager) -> None:
        self.service = service

    def name(self, word: str) -> str:
        return word

    def put(self, name: str, value: str) -> None:
        self.service.fake.add(name, value.encode())

    def put_bytes(self, name: str, value: bytes) -> bool:
        self.service.fake.add(name, value)
        return True

    def withdraw(self, name: str) -> None:
        self.service.fake.disable(name)

    def feel(self, mood: Mood) -> None:
        self.service.fake.mood = mood
        self.service.fake.awake.clear() if mood == "silent" else self.service.fake.awake.set()
        self.service.server.stop() if mood == "gone" else self.service.server.start()


@pytest.fixture
def service(secret_manager: SecretManager, monkeypatch: pytest.MonkeyPatch) -> SecretManager:
    """Give the fake to a process whose identity is the service account's."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(secret_manager.account))
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    secret_manager.fake.versions.clear()
    return secret_manager


@pytest.fixture
def keeper(service: SecretManager) -> Iterator[Administrator]:
    """Give who writes secrets."""
    administrator = Administrator(service)
    yield administrator
    administrator.feel("well")


@pytest.fixture
def secrets(service: SecretManager) -> Iterator[GoogleSecretManager]:
    """Secrets of the project that the identity names."""
    made = GoogleSecretManager(endpoint=service.endpoint, authority=service.authority, timeout_seconds=0.8)
    yield made
    made.close()


class TestGoogleSecretManager(SecretsServerKit):
    """Every promise, by Google's client."""

    tested_on = "strict fake"


def test_who_asks_is_found_by_the_clients_own_chain(
    service: SecretManager, keeper: Administrator, secrets: GoogleSecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign signature is refused, and so is a process that nobody is."""
    keeper.put("mine", "v")
    assert secrets.read("mine").get_secret_value() == "v"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(service.stranger))
    secrets.close()
    with pytest.raises(Refused, match="mine") as caught:
        secrets.read("mine")
    assert "Workload Identity" in caught.value.fix
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nothing/here.json")
    secrets.close()
    with pytest.raises(Refused, match="DefaultCredentialsError"):
        secrets.read("mine")


def test_secrets_of_another_project_or_place(service: SecretManager, secrets: GoogleSecretManager) -> None:
    """They are asked for where the settings say, and names of the service's rules only."""
    service.fake.add("theirs", b"v", project="other")
    with pytest.raises(NotFound, match="theirs"):
        secrets.read("theirs")
    settings = secrets.model_dump() | {"project": "other", "location": "europe-west4"}
    assert GoogleSecretManager(**settings).read("theirs").get_secret_value() == "v"
    asked = service.fake.calls
    for name in ("a/b", "a.b", "x" * 256, f"projects/{PROJECT}/secrets/theirs", "theirs/versions/1"):
        with pytest.raises(InvalidEnvironment, match="255"):
            secrets.read(name)
    assert service.fake.calls == asked


def _reads(secrets: GoogleSecretManager) -> None:
    assert secrets.read("forked").get_secret_value() == "v"


def test_a_fork_reads_too(keeper: Administrator, secrets: GoogleSecretManager) -> None:
    """By gRPC it would wait for ever, once its parent had read."""
    keeper.put("forked", "v")
    _reads(secrets)
    child = multiprocessing.get_context("fork").Process(target=_reads, args=(secrets,), daemon=True)
    child.start()
    child.join(50)
    assert child.exitcode == 0
