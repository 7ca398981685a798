"""The object stores of the three clouds as tests can have them; sessions share them, and tests take places there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.emulators.azurite import Azurite
from tests.emulators.gcs import GcsServer
from tests.emulators.store_faults import FaultProxy
from tests.s3_server import S3Server

CLOUDS = ("s3", "gs", "az")


class StoreServer(Protocol):
    """A server with buckets (containers), at ``url``."""

    url: str

    @property
    def options(self) -> dict[str, str]:
        """Return what a client of object stores is told."""

    def options_at(self, url: str) -> dict[str, str]:
        """Return options that lead over another URL."""

    def wrong_secret(self) -> dict[str, str]:
        """Return options with a secret that is none."""

    def place(self, bucket: str = "loopline") -> str:
        """Return the URL of a prefix that no other test has."""

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it."""


@pytest.fixture(scope="module")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """Run Cloud Storage's emulator for a file of tests."""
    server = GcsServer(tmp_path_factory.mktemp("gcs"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Run Azure's emulator for a file of tests."""
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> str:
    """Name each of the three stores in turn, by the scheme of its URLs."""
    return str(request.param)


@pytest.fixture
def store_server(cloud: str, request: pytest.FixtureRequest) -> StoreServer:
    """Give the server of the store that ``cloud`` names; no other is started."""
    fixture = {"s3": "s3_server", "gs": "gcs_server", "az": "azurite"}[cloud]
    server: S3Server | GcsServer | Azurite = request.getfixturevalue(fixture)
    return server


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, FaultProxy]]:
    """Keep the proxies of this session by the server before which they are."""
    kept: dict[str, FaultProxy] = {}
    yield kept
    for proxy in kept.values():
        proxy.close()


@pytest.fixture
def faults(store_server: StoreServer, proxies: dict[str, FaultProxy]) -> FaultProxy:
    """Put a proxy before that server."""
    if store_server.url not in proxies:
        proxies[store_server.url] = FaultProxy(store_server.url)
    return proxies[store_server.url]
