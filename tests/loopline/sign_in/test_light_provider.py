"""Signing in at a provider that starts in half a second."""

from __future__ import annotations

import pytest

from tests.loopline.sign_in.provider_kit import ProviderKit
from tests.loopline.sign_in.providers import Light


class TestLightProvider(ProviderKit):
    """The certified provider of Node's world."""

    @pytest.fixture
    def provider(self, light: Light) -> Light:
        """Give it."""
        return light
