"""What the event loop answers itself, and what a thread does, so that small requests never wait for large ones."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from loopline.platform_core.runtime.model import batching, thread_choice
from loopline.platform_core.runtime.model.thread_choice import MOST_INLINE, inline_rows
from loopline.platform_core.testing.parts.model_packages import Held, Slow
from tests.platform_core.runtime.conftest import tensors
from tests.waiting import until


def zeros(rows):
    """Make rows to try a model with."""
    return np.zeros((rows, 3))


@pytest.mark.parametrize(
    ("row", "call", "least", "most"),
    [(0.0, 0.0, MOST_INLINE, MOST_INLINE), (0.0005, 0.0, 1, 10), (0.0, 0.02, 0, 0)],
    ids=["fast", "costs by the row", "slow"],
)
def test_a_model_answers_so_many_rows_inline(row, call, least, most):
    """As many as anybody may ask for in the event loop, some two milliseconds' worth, or not even one."""
    estimator = Slow(row, call)
    assert least <= inline_rows(lambda matrix: estimator.predict_proba(matrix)[:, 1], zeros) <= most


@pytest.mark.parametrize("rows", [1, 64])
def test_a_machine_that_stands_still_once_does_not_decide(rows):
    """A quick model whose first try takes long, because others are served first, answers in the loop."""
    stood = []

    def predict(matrix):
        if len(matrix) == rows and not stood:
            stood.append(time.sleep(0.05))  # the machine's time
        return matrix[:, 0]

    assert inline_rows(predict, zeros) == MOST_INLINE
    assert stood


def test_a_model_that_waits_for_others_is_not_tried_for_long(monkeypatch):
    """Few calls that take a third of the longest tell as much as twenty: nobody waits half a minute for it to load."""
    calls = []
    for module in (thread_choice, batching):
        monkeypatch.setattr(module, "LONGEST_SECONDS", 0.1)

    def predict(matrix):
        calls.append(len(matrix))
        time.sleep(0.035)  # the model's time
        return matrix[:, 0]

    assert inline_rows(predict, zeros) == 0
    batching.choose(predict, zeros)
    assert len(calls) <= 9


def body(rows):
    """Make a request of so many rows."""
    return json.dumps({"inputs": tensors(customer_id=[*range(rows)], amount=[0.5] * rows)}).encode()


def ask(port, model):
    """Ask once about a row; gives the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", f"/v2/models/{model}/infer", body(1))
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status


@pytest.fixture(scope="module")
def paced(start, tmp_path_factory):
    """Run a server with a model that can be held, and a fast one; gives its port and the held one's folder."""
    folder = tmp_path_factory.mktemp("pace")
    with start(folder, {"held": Held(folder), "fast": Slow(0.0)}) as server:
        yield server.port, folder


@contextmanager
def held(paced: tuple[int, Path], requests: int) -> Iterator[None]:
    """Hold so many requests in their predictions, at the same time, until the block ends; all are answered then."""
    port, folder = paced
    statuses = []
    callers = [threading.Thread(target=lambda: statuses.append(ask(port, "held"))) for _ in range(requests)]
    folder.joinpath("hold").touch()
    try:
        for caller in callers:
            caller.start()
        until(lambda: len([*folder.glob("mark-*")]) >= requests, 120, told=lambda: "they predict one after another")
        yield
        assert all(caller.is_alive() for caller in callers)
    finally:
        folder.joinpath("hold").unlink()
        for caller in callers:
            caller.join()
        for mark in folder.glob("mark-*"):
            mark.unlink()
    assert statuses == [200] * requests


def test_a_slow_model_holds_up_nobody_else(paced):
    """While it computes, a fast model answers."""
    with held(paced, 1):
        assert ask(paced[0], "fast") == 200


def test_slow_requests_are_answered_side_by_side(paced):
    """Four are predicted at the same time: no one waits for another's end."""
    with held(paced, 4):
        pass


def test_many_rows_are_answered_like_few(server):
    """In a thread or not, values, log and failures are the same."""
    server.serve(Slow(0.0, call=0.01))
    reply = server.infer({"customer_id": list(range(600)), "amount": [1.0] * 600})
    assert reply.json["outputs"][0]["data"] == [0.5] * 600
    assert len(server.logged[0][1].keys) == 600
    server.serve()
    refused = server.infer({"customer_id": list(range(600)), "amount": [1.0] * 599 + [-1.0]})
    assert (refused.status, server.logged[1][1].status) == (500, 500)


def test_a_long_body_is_read_like_a_short_one(server):
    """Which happens in a thread too; what is wrong with it is told."""
    server.serve()
    sent = body(9_000)
    assert len(sent) > 64 * 1024
    assert server.post(sent).json["outputs"][0]["shape"] == [9_000]
    assert server.post(sent[:-1]).status == 400
    assert server.post(body(10_001)).status == 413
