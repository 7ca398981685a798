"""Signing in at a real Keycloak: the same promises as at the light provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopline.platform_core.testing.parts.ports import free_ports
from tests.loopline.sign_in.provider_kit import ProviderKit
from tests.loopline.sign_in.providers import Keycloak


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """Run it."""
    provider = Keycloak(tmp_path_factory.mktemp("keycloak"), *free_ports(2))
    yield provider
    provider.end()


class TestKeycloak(ProviderKit):
    """The provider of many companies."""

    @pytest.fixture
    def provider(self, keycloak: Keycloak) -> Keycloak:
        """Give it."""
        return keycloak
