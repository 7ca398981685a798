"""Dynamic batching: one prediction for concurrent requests, for models whose cost is by the call and not by the row.

scikit-learn takes 300 µs for a row and 330 µs for a hundred; LightGBM's single-row call takes 5 µs, and waiting for
others would cost more. So each model is timed when it is loaded.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loopline.platform_core.runtime.model.given import Given, together
from loopline.platform_core.runtime.model.thread_choice import LONGEST_SECONDS, Blank, Predict, fastest

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    _Answer: TypeAlias = NDArray[np.float64] | Exception

TOGETHER = 32
MOST_ROWS = 256
"""Rows in one prediction, unless a single request has more."""
COST_SECONDS = 30e-6
"""What sharing costs a request: a future, a turn of the event loop, a matrix copied."""

_ROUNDS = 3
_SURELY_SLOW_SECONDS = 0.001
"""No busy machine makes a prediction look so slow by this thread's own time; trying it again would delay the start."""


class Batching(NamedTuple):
    """Whether requests share predictions, and why."""

    shared: bool
    why: str


UNTIMED = Batching(shared=False, why="off: not timed")


def choose(predict: Predict, blank: Blank) -> Batching:
    """Decide by the model's own times: sharing must save a request more than it costs, and half of its prediction.

    It must look so each time: a busy machine makes a quick model look slow, but no slow one quick.
    """
    one = each = float("inf")
    shared, end = False, time.perf_counter() + LONGEST_SECONDS
    for _ in range(_ROUNDS):
        # this thread's own time: other models are loaded beside it, and what they take says nothing of this one
        one = min(one, fastest(predict, blank(1), time.thread_time))
        each = min(each, fastest(predict, blank(TOGETHER), time.thread_time) / TOGETHER)
        shared = one - each > COST_SECONDS and each < one / 2
        if not shared or one > _SURELY_SLOW_SECONDS or time.perf_counter() > end:
            break
    figures = f"a row alone takes {one * 1e6:.0f} µs, among {TOGETHER} {each * 1e6:.1f} µs"
    return Batching(shared, f"{'on' if shared else 'off'}: {figures}; sharing costs {COST_SECONDS * 1e6:.0f} µs")


class Batcher:
    """Predicts for all requests that wait; belongs to one event loop.

    Nobody waits for company: what came while the loop was busy, or while a thread predicted, is answered together.
    Up to ``inline_rows`` the event loop predicts itself, more rows go to ``threads``.
    """

    def __init__(self, predict: Predict, inline_rows: int, threads: Executor) -> None:
        self._predict, self._inline_rows, self._threads = predict, inline_rows, threads
        self._waiting: deque[_Waiting] = deque()
        self._busy = False

    async def __call__(self, matrix: Given) -> NDArray[np.float64]:
        """Return what the model answers for these rows, or raise what it raises for them."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(matrix, loop.create_future())
        if not self._waiting and not self._busy:
            loop.call_soon(self._next)
        self._waiting.append(waiting)
        return await waiting.answer

    def _next(self) -> None:
        """Answer what waits: here, or in a thread and then what came meanwhile."""
        while self._waiting and not self._busy:
            batch = self._take()
            if sum(len(one.matrix) for one in batch) <= self._inline_rows:
                _settle(batch, _answers(self._predict, batch))
            else:
                self._busy = True
                running = asyncio.get_running_loop().run_in_executor(self._threads, _answers, self._predict, batch)
                running.add_done_callback(partial(self._done, batch))

    def _done(self, batch: list[_Waiting], done: asyncio.Future[Sequence[_Answer]]) -> None:
        self._busy = False
        _settle(batch, done.result())
        self._next()

    def _take(self) -> list[_Waiting]:
        batch = [self._waiting.popleft()]
        rows = len(batch[0].matrix)
        while self._waiting and rows + len(self._waiting[0].matrix) <= MOST_ROWS:
            batch.append(self._waiting.popleft())
            rows += len(batch[-1].matrix)
        return batch


class _Waiting(NamedTuple):
    matrix: Given
    answer: asyncio.Future[NDArray[np.float64]]


def _answers(predict: Predict, batch: Sequence[_Waiting]) -> Sequence[_Answer]:
    """Predict once for all; if that fails each alone, so that only those fail that must."""
    if len(batch) > 1:
        try:
            scores = predict(together([one.matrix for one in batch]))
        except Exception:  # noqa: BLE001, S110 - a model may raise anything; who is to blame shows below
            pass
        else:
            return np.split(scores, np.cumsum([len(one.matrix) for one in batch])[:-1])
    return [_alone(predict, one.matrix) for one in batch]


def _alone(predict: Predict, matrix: Given) -> _Answer:
    try:
        return predict(matrix)
    except Exception as error:  # noqa: BLE001 - it is raised where the request waits
        return error


def _settle(batch: Sequence[_Waiting], answers: Sequence[_Answer]) -> None:
    for one, answer in zip(batch, answers, strict=True):
        if one.answer.done():
            continue  # whoever asked has gone
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)
