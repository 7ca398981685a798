"""Prediction logs in an object store, on a real S3 server."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from loopline.platform_core.testing.log_store import LogStoreKit, Writer, ids
from loopline.platform_core.testing.parts.endpoints import new_model
from loopline.resources.object_store.logs import ObjectLogs
from loopline.resources.object_store.objects import Found, Objects
from tests.s3_server import S3Server

PIECES, WRITERS, TOGETHER = 8, 4, 4


class Slow(Objects):
    """A store so far away that an answer is only had together with others: each waits for three more."""

    def __init__(self, url: str, options: dict[str, str]) -> None:
        super().__init__(url, options)
        self._met = threading.Barrier(TOGETHER, timeout=60)

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Answer when others have asked as well."""
        self._met.wait()
        return super().read(key)

    def listed(self, folder: str, after: str = "") -> list[Found]:
        """Answer when others have asked as well."""
        self._met.wait()
        return super().listed(folder, after)


class TestObjectLogs(LogStoreKit):
    @pytest.fixture
    def store(self, s3_server: S3Server) -> ObjectLogs:
        """Logs below a prefix of the test's own."""
        return ObjectLogs(Objects(s3_server.place(), s3_server.options))

    @pytest.fixture
    def sink(self, store: ObjectLogs) -> ObjectLogs:
        """The same: it holds nothing in memory."""
        return store


def test_pieces_are_read_many_at_once(s3_server: S3Server, tmp_path: Path) -> None:
    """A long step of a rollout is thousands of them: one after the other, their ways alone would take minutes."""
    place, model = s3_server.place(), new_model()
    sink = ObjectLogs(Objects(place, s3_server.options))
    writers = [Writer(tmp_path, "one", model) for _ in range(WRITERS)]
    for writer in writers:
        for _ in range(PIECES):
            writer.answer(1)
            writer.send(sink)
    store = ObjectLogs(Slow(place, s3_server.options))
    found = ids(store, model)
    assert len(found) == WRITERS * PIECES
    for writer in writers:
        assert [one for one in found if writer.name in one] == writer.ids
    assert store.end(model, None) == sink.read(model, None)[1]
