"""What is put off when it cannot be kept: an answer in the protocol's shape, and nothing left on the disk."""

from __future__ import annotations

import json
import os
import time

import pytest

from loopline.deferred.request_queue import PutOff, Result, Spool
from loopline.deferred.requests import Deferred
from loopline.platform_core.runtime.settings.deferred import DeferredSettings
from tests.platform_core.runtime.conftest import MODEL, no_room_beyond, tensors

LATER = {"Prefer": "respond-async"}
PATH = f"/v2/models/{MODEL}/infer"
NAME = "0" * 32


def files(root):
    """Name every file of a spool, hidden ones too."""
    return sorted(file.name for file in root.rglob("*") if file.is_file())


@pytest.fixture
def putting_off(server, tmp_path):
    """Give a server that keeps what is put off below ``spool``."""
    server.serve(requested=["amount"])
    server.app = Deferred(server.app, server.inference, tmp_path / "spool", DeferredSettings(), lambda: False)
    return server


def body(rows):
    """Write a request of so many rows."""
    return json.dumps({"inputs": tensors(customer_id=[1] * rows, amount=[1.5] * rows)}).encode()


def test_a_request_that_does_not_fit_leaves_nothing(putting_off, tmp_path):
    """It is told to come again with 503, the half that was written is gone, and what fits is still taken."""
    with no_room_beyond(10_000):
        refused = putting_off.ask("POST", PATH, body(2_000), LATER)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert "cannot be kept: File too large → " in refused.error
        assert files(tmp_path / "spool") == []
        assert putting_off.ask("POST", PATH, body(1), LATER).status == 202
    assert len(files(tmp_path / "spool")) == 1


def test_an_answer_that_does_not_fit_leaves_nothing(tmp_path):
    """The request still waits, so that it is answered once there is room."""
    spool = Spool(tmp_path)
    spool.put(NAME, PutOff(PATH, MODEL, b"{}", None, 0.0))
    with no_room_beyond(10_000), pytest.raises(OSError, match="too large"):
        spool.draft(NAME, Result(200, [], b"x" * 20_000))
    assert files(tmp_path) == [NAME]


def test_what_a_kill_left_half_written_is_forgotten(tmp_path):
    """With the answers of its age; what is being written now, and requests that wait, stay."""
    spool, old = Spool(tmp_path), time.time() - 100
    spool.put(NAME, PutOff(PATH, MODEL, b"{}", None, 0.0))
    os.utime(tmp_path / "deferred/waiting" / NAME, (old, old))
    for folder in ("waiting", "drafts", "done"):
        for name, at in ((".killed.1", old), (".written.2", time.time())):
            file = tmp_path / "deferred" / folder / name
            file.write_bytes(b"half")
            os.utime(file, (at, at))
    spool.forget(time.time() - 50)
    assert files(tmp_path) == [*[".written.2"] * 3, NAME]


@pytest.mark.parametrize("length", ["9" * 5000, "²", "-1", "x", "9" * 18])
def test_a_length_that_is_none_is_answered_as_at_once(putting_off, length):
    """Both ways give 400 and the same words."""
    given = {"Inference-Header-Content-Length": length}
    later = putting_off.ask("POST", PATH, body(1), given | LATER)
    at_once = putting_off.ask("POST", PATH, body(1), given)
    assert (later.status, later.error) == (at_once.status, at_once.error) == (400, later.error)


def test_a_mistake_of_ours_is_an_answer_too(putting_off, tmp_path):
    """An answer that cannot be read any more is 500 in the protocol's shape."""
    (tmp_path / "spool/deferred/done" / NAME).write_bytes(b"torn")
    failed = putting_off.ask("GET", f"/v2/requests/{NAME}")
    assert (failed.status, failed.error) == (500, "the server failed → see its log")
