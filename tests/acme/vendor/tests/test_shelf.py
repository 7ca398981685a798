"""The vendor's own test: the shelf keeps what every online store promises."""

from __future__ import annotations

import pytest
from acme_shelf import ShelfOnlineStore

from loopline.platform_core.testing.online_store import OnlineStoreKit


class TestShelf(OnlineStoreKit):
    """The kit, on a folder."""

    @pytest.fixture
    def store(self, tmp_path) -> ShelfOnlineStore:
        """Give a store."""
        return ShelfOnlineStore(folder=tmp_path)

    @pytest.fixture
    def opened_anew(self, tmp_path) -> ShelfOnlineStore:
        """Give a second one on the same folder."""
        return ShelfOnlineStore(folder=tmp_path)
