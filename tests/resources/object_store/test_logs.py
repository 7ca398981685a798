"""Prediction logs in an object store, on a real S3 server."""

from __future__ import annotations

import pytest

from loopline.platform_core.testing.log_store import LogStoreKit
from loopline.resources.object_store.logs import ObjectLogs
from loopline.resources.object_store.objects import Objects
from tests.s3_server import S3Server


class TestObjectLogs(LogStoreKit):
    @pytest.fixture
    def store(self, s3_server: S3Server) -> ObjectLogs:
        """Logs below a prefix of the test's own."""
        return ObjectLogs(Objects(s3_server.place(), s3_server.options))

    @pytest.fixture
    def sink(self, store: ObjectLogs) -> ObjectLogs:
        """The same: it holds nothing in memory."""
        return store
