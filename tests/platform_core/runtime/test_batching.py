"""Requests that share a prediction: who does, and that each keeps its own answer and its own error."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from loopline.platform_core.errors import TaskFailed
from loopline.platform_core.runtime.answering.inference import ModelState
from loopline.platform_core.runtime.model.batching import MOST_ROWS, TOGETHER, Batcher, choose
from loopline.platform_core.runtime.model.thread_choice import THREADS
from loopline.platform_core.runtime.wire.protocol import InferRequest
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY, Constant
from tests.platform_core.runtime.conftest import MODEL, in_loop


def zeros(rows):
    """Make rows to try a model with."""
    return np.zeros((rows, 2))


class Model:
    """Answers the first column; counts how it is called, takes time for a call or for a row, and fails on minus one."""

    def __init__(self, call_seconds=0.0, row_seconds=0.0):
        self.calls = []
        self.call_seconds, self.row_seconds = call_seconds, row_seconds

    def predict(self, matrix):
        self.calls.append(len(matrix))
        end = time.thread_time() + self.call_seconds + self.row_seconds * len(matrix)  # others do not shorten it
        while time.thread_time() < end:
            pass
        if (matrix[:, 0] < 0).any():
            raise ValueError("a negative number")
        return matrix[:, 0]


def ask(model, requests, inline_rows=1_000):
    """Ask for all requests at once; an answer, or what was raised, for each."""

    async def together():
        with ThreadPoolExecutor(1) as threads:
            batcher = Batcher(model.predict, inline_rows, threads)
            return await asyncio.gather(*(batcher(rows(*values)) for values in requests), return_exceptions=True)

    return asyncio.run(together())


def rows(*values):
    """Make a matrix."""
    return np.array([[value, 0.0] for value in values])


def test_each_gets_its_own_rows():
    """One prediction for three requests of different length."""
    model = Model()
    answers = ask(model, [(1, 2), (3,), (4, 5, 6)])
    assert [answer.tolist() for answer in answers] == [[1, 2], [3], [4, 5, 6]]
    assert model.calls == [6]


def test_each_keeps_its_own_error():
    """A request that the model refuses fails alone; its neighbours are answered."""
    good, bad, other = ask(Model(), [(1,), (-1,), (2,)])
    assert (good.tolist(), other.tolist()) == ([1], [2])
    assert isinstance(bad, ValueError)


def test_a_batch_has_a_limit():
    """More rows than a prediction takes are answered in several; a single long request is not cut."""
    model = Model()
    answers = ask(model, [tuple(range(200))] * 3 + [tuple(range(MOST_ROWS + 1))])
    assert [len(answer) for answer in answers] == [200, 200, 200, MOST_ROWS + 1]
    assert model.calls == [200, 200, 200, MOST_ROWS + 1]


@in_loop
async def test_what_comes_while_a_thread_predicts_is_answered_together():
    """A slow model predicts in a thread; the loop goes on, and those who came meanwhile share the next prediction."""
    model = Model(call_seconds=0.05)
    with ThreadPoolExecutor(1) as threads:
        batcher = Batcher(model.predict, 0, threads)
        first = asyncio.create_task(batcher(rows(1)))
        await asyncio.sleep(0.01)  # a fifth of what the model takes
        others = [asyncio.create_task(batcher(rows(value))) for value in (2, 3, 4)]
        assert [(await task).tolist() for task in [first, *others]] == [[1], [2], [3], [4]]
    assert model.calls == [1, 3]


@in_loop
async def test_whoever_has_gone_is_no_trouble():
    """A request that was cancelled while it waited leaves the others their answers."""
    with ThreadPoolExecutor(1) as threads:
        batcher = Batcher(Model().predict, 100, threads)
        gone, stays = (asyncio.create_task(batcher(rows(value))) for value in (1, 2))
        await asyncio.sleep(0)  # until both wait
        gone.cancel()
        assert (await stays).tolist() == [2]


@in_loop
async def test_every_request_of_a_batch_is_logged_by_itself(server):
    """Three requests share a prediction: three records, and the one that the model refuses is logged as failed."""
    server.serve(Constant(0.3))
    route = server.inference.models[MODEL].route
    model = replace(route.stable.model, batcher=Batcher(route.stable.model.predict, MOST_ROWS, THREADS))
    server.inference.models[MODEL] = ModelState(replace(route, stable=replace(route.stable, model=model)))

    asked = [server.inference.infer(MODEL, request(amount)) for amount in (1.0, -1.0, 2.0)]
    good, bad, other = await asyncio.gather(*asked, return_exceptions=True)
    assert good.outputs == other.outputs == {"probability": [0.3], "label": [0]}
    assert isinstance(bad, TaskFailed)
    logged = sorted((record.features, record.status, record.scores) for _, record in server.logged)
    assert [(status, scores) for _, status, scores in logged] == [(500, None), (200, [0.3]), (200, [0.3])]


def request(amount):
    """Make a request of one row."""
    columns = {ENTITY: ["a"], AMOUNT: [amount]}
    return InferRequest("id", 1, columns, frozenset({ENTITY}), {"probability": False})


@pytest.mark.parametrize(
    ("call_seconds", "row_seconds", "shared"), [(0.0003, 0, True), (0, 0, False), (0.0001, 0.001, False)]
)
def test_the_model_s_own_times_decide(call_seconds, row_seconds, shared):
    """A model whose cost is by the call shares predictions; one that is quick, or that costs by the row, does not."""
    chosen = choose(Model(call_seconds, row_seconds).predict, zeros)
    assert chosen.shared == shared
    assert chosen.why.startswith("on: " if shared else "off: ")
    assert f"among {TOGETHER}" in chosen.why


def test_a_busy_while_does_not_decide():
    """A quick model that others slow down for its first calls shares nothing."""
    model = Model(call_seconds=0.0003)

    def predict(matrix):
        model.call_seconds = 0.0003 if len(model.calls) < 20 else 0.0
        return model.predict(matrix)

    assert not choose(predict, zeros).shared
    assert len(model.calls) > 20
