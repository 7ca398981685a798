"""Anchors on a real S3 server keep the promises."""

from __future__ import annotations

import pytest

from loopline.platform_core.testing.anchors import AnchorsKit
from loopline.resources.object_store.anchors import ObjectStoreAnchors
from tests.s3_server import S3Server


class TestObjectStoreAnchors(AnchorsKit):
    """A prefix of the test's own."""

    tested_on = "real server: SeaweedFS"

    @pytest.fixture
    def anchors(self, s3_server: S3Server) -> ObjectStoreAnchors:
        return ObjectStoreAnchors(url=s3_server.place(), storage_options=s3_server.options)
