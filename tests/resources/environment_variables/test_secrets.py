"""Variables of the process keep the promises of secrets."""

from __future__ import annotations

import os

import pytest

from loopline.platform_core.errors import InvalidEnvironment, NotFound
from loopline.platform_core.testing.secrets import SecretsKit
from loopline.resources.environment_variables.secrets import EnvironmentVariables

PREFIX = "KIT_SECRET_"


class Setter:
    """Whoever starts the process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def name(self, word: str) -> str:
        return word.upper().replace("-", "_")

    def put(self, name: str, value: str) -> None:
        self.monkeypatch.setenv(PREFIX + name, value)

    def put_bytes(self, name: str, value: bytes) -> bool:
        if b"\0" in value:
            return False
        self.monkeypatch.setenv(PREFIX + name, os.fsdecode(value))
        return True

    def withdraw(self, name: str) -> None:
        self.monkeypatch.delenv(PREFIX + name)


class TestEnvironmentVariables(SecretsKit):
    """Every promise that no server is needed for."""

    tested_on = "this process"

    @pytest.fixture
    def secrets(self) -> EnvironmentVariables:
        return EnvironmentVariables(prefix=PREFIX)

    @pytest.fixture
    def keeper(self, monkeypatch: pytest.MonkeyPatch) -> Setter:
        return Setter(monkeypatch)


def test_what_is_not_there_is_told_as_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the whole name, prefix included, so that whoever starts the process knows what to set."""
    monkeypatch.delenv("KIT_SECRET_NO", raising=False)
    with pytest.raises(NotFound, match="KIT_SECRET_NO"):
        EnvironmentVariables(prefix=PREFIX).read("NO")
    with pytest.raises(InvalidEnvironment, match="redis/url"):
        EnvironmentVariables().read("redis/url")
