"""Batching of reads: requests of one turn of an event loop become one read, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

from loopline.platform_core.contracts.online_store import Key, OnlineRow
from loopline.platform_core.errors import Permanent, StoreUnavailable

Asks = Sequence[tuple[str, Sequence[Key]]]
Answers = list[list[OnlineRow | None]]
A = TypeVar("A")
B = TypeVar("B")


class _Waiting(NamedTuple):
    asks: Asks
    answers: asyncio.Future[Answers]


class Together:
    """Collects asks and has them read by ``read``, which blocks; the event loop does not."""

    def __init__(self, read: Callable[[Asks], Answers], threads: int, timeout_seconds: float) -> None:
        self._read, self._timeout_seconds = read, timeout_seconds
        self._threads = ThreadPoolExecutor(threads, "loopline-online")
        self._waiting: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}

    async def fetch(self, asks: Asks) -> Answers:
        """Return the rows of each ask.

        Raises:
            StoreUnavailable: they were not there in time.
        """
        loop = asyncio.get_running_loop()
        one = _Waiting(asks, loop.create_future())
        turn = self._waiting.setdefault(loop, [])
        turn.append(one)
        if len(turn) == 1:
            loop.call_soon(self._send, loop)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await one.answers
        except TimeoutError as error:
            problem = f"no features in {self._timeout_seconds:g} s"
            raise StoreUnavailable(
                problem, "see how much is asked at once, and whether the service is reached"
            ) from error

    def close(self) -> None:
        """Let the threads go when they have ended what they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        self._read_for(loop, self._waiting.pop(loop))

    def _read_for(self, loop: asyncio.AbstractEventLoop, waiting: list[_Waiting]) -> None:
        try:
            read = loop.run_in_executor(self._threads, self._read, [ask for one in waiting for ask in one.asks])
        except RuntimeError as error:  # it was closed meanwhile
            _refuse(waiting, StoreUnavailable(f"the store was closed: {error}", "open it again"))
            return
        read.add_done_callback(lambda done: self._share(loop, waiting, done))

    def _share(self, loop: asyncio.AbstractEventLoop, waiting: list[_Waiting], done: asyncio.Future[Answers]) -> None:
        """Cut an answer into what each asked; what one of them asked wrongly is not the others' trouble."""
        if done.cancelled():
            _refuse(waiting, StoreUnavailable("the store was closed", "open it again"))
        elif (error := done.exception()) is None:
            rows = iter(done.result())
            for one in waiting:
                own = list(islice(rows, len(one.asks)))
                if not one.answers.done():
                    one.answers.set_result(own)
        elif isinstance(error, Permanent) and len(waiting) > 1:
            for one in waiting:
                self._read_for(loop, [one])
        else:
            _refuse(waiting, error)


def spread(work: Callable[[A], B], parts: Sequence[A], at_once: int) -> list[B]:
    """Do some parts of a work at once, each in a thread; answers come in the order of the parts."""
    if len(parts) <= 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(min(at_once, len(parts)), "loopline-online-part") as threads:
        futures = [threads.submit(work, part) for part in parts]
        try:
            return [future.result() for future in futures]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)  # what has begun ends by its own time-outs
            raise


def _refuse(waiting: Sequence[_Waiting], error: BaseException) -> None:
    for one in waiting:
        if not one.answers.done():
            one.answers.set_exception(error)
