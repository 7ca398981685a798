"""Online store on a document database: base class, over a ``Service`` for each database."""

from __future__ import annotations

import abc
import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.online_packing import pack, unpack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.resources.nosql.batching import Together, spread
from loopline.resources.nosql.conditional_writes import Replacement, Rows, settle, writing
from loopline.resources.nosql.rate_limit import Pace, Patience

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 4
"""Requests of one call that are on their way together."""
THREADS = 16
"""Reads of one process that wait for the service at once."""
OPENING_SECONDS = 15.0
"""How long a first request may take longer: the client is loaded, and introduces itself."""
AGAIN_SECONDS = 5.0
"""How long after it failed to open the same is told, without a try: many may ask at once."""


class Service(Protocol):
    """A connection to whoever keeps the documents; every error is Loopline's, and ends in time."""

    def name(self, view: str, key: Key) -> str | None:
        """Name the document of a key; None where it cannot have one."""

    def parts(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Cut names into what one request asks for."""

    def read(self, names: Sequence[str], seconds: float) -> Mapping[str, bytes]:
        """Read the packed rows, of those documents that there are and whose time has not come."""

    def rows(self, view: str) -> Rows:
        """Return a view's rows, to be changed."""

    def forget(self, view: str, after: str) -> str:
        """Delete some documents of a view; returns where to go on, and nothing when all are gone."""

    def clear(self, after: str) -> str:
        """Delete some documents of all views of a place set apart; returns the same."""

    def close(self) -> None:
        """Let the connection go."""


class DocumentStore(OnlineStore):
    """Rows as documents that are changed only on the condition of what was seen.

    A read ends within ``timeout_seconds`` and a request of a write within ``write_seconds``. A write that is throttled,
    or meets other writers, gives up when it got nowhere for ``patience_seconds``.
    """

    timeout_seconds: float = Field(1.0, gt=0)
    write_seconds: float = Field(10.0, gt=0)
    patience_seconds: float = Field(60.0, gt=0)
    _services: dict[int, tuple[Service, int]] = PrivateAttr(default_factory=dict)
    _fetching: dict[int, Together] = PrivateAttr(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _failed: tuple[float, LooplineError | None] = PrivateAttr((0.0, None))
    _pace: Pace = PrivateAttr(default_factory=Pace)

    @abc.abstractmethod
    def _open(self) -> tuple[Service, int]:
        """Connect; says too how many rows are written at once."""

    @abc.abstractmethod
    def _below(self, name: str) -> Mapping[str, str]:
        """Return the settings by which a place of this name stands apart."""

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:
        """Give a place of its own beside this one's rows; at its end every row there is looked for and deleted."""
        place = self.with_settings(**self._below(name))
        try:
            yield place
        finally:
            try:
                place._until_gone(place._opened()[0].clear)  # noqa: SLF001 - another of this class
            finally:
                place.close()

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch every row of every ask, each document once; a few hundred a request."""
        service = self._opened()[0]  # loading the client is not the service's time
        end = time.monotonic() + self.timeout_seconds
        named = [[service.name(view, key) for key in keys] for view, keys in asks]
        names = list(dict.fromkeys(name for ask in named for name in ask if name is not None))
        found: dict[str | None, OnlineRow] = {}
        for packed in spread(partial(_read, service, end), service.parts(names), AT_ONCE):
            found |= {name: unpack(row) for name, row in packed.items()}
        return [[found.get(name) for name in ask] for ask in named]

    async def fetch(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does, in a thread; what is asked in one turn of the event loop travels together."""
        here = os.getpid()
        if here not in self._services:
            await _in_time(asyncio.to_thread(self._opened), self.timeout_seconds + OPENING_SECONDS)
        if here not in self._fetching:
            self._fetching[here] = Together(self.read, THREADS, self.timeout_seconds)
        return await self._fetching[here].fetch(asks)

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, some hundred documents at a time; an error may leave a part written."""
        return self._settle(view, writing(newest(entity, rows), keep), keep)

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void, some hundred documents at a time; an error may leave a part done."""
        return self._settle(view, list(replacing(entity, rows, void, keep)), keep)

    def drop(self, view: str) -> None:
        """Forget a view: its documents are listed and deleted, so it takes as long as there are many."""
        self._until_gone(lambda after: self._opened()[0].forget(view, after))

    def _until_gone(self, forget: Callable[[str], str]) -> None:
        after, patience = "", Patience(self.patience_seconds)
        while True:
            try:
                after = forget(after)
            except StoreUnavailable as error:
                patience.wait(error)
            else:
                patience.progressed()
                if not after:
                    return

    def close(self) -> None:
        """Let connections and threads go."""
        here = os.getpid()
        if (fetching := self._fetching.pop(here, None)) is not None:
            fetching.close()
        if (opened := self._services.pop(here, None)) is not None:
            opened[0].close()
        self._failed = 0.0, None

    def _settle(self, view: str, wishes: list[Replacement], keep: Keep | None) -> int:
        service, at_once = self._opened()
        rows = service.rows(view)
        for key, row, _ in wishes:
            if row is not None:
                rows.refuse_too_large(key, pack(row))  # before the first of them is written
        parts = [wishes[first : first + at_once] for first in range(0, len(wishes), at_once)]
        return sum(spread(lambda part: settle(rows, part, keep, self._pace, self.patience_seconds), parts, AT_ONCE))

    def _opened(self) -> tuple[Service, int]:
        """Return this process's own connection, and how many rows it writes at once."""
        with self._lock:
            here = os.getpid()
            if here not in self._services:
                told, error = self._failed
                if error is not None and time.monotonic() - told < AGAIN_SECONDS:
                    raise error
                try:
                    self._services[here] = self._open()
                except LooplineError as error:
                    self._failed = time.monotonic(), error
                    raise
            return self._services[here]


async def _in_time(work: Awaitable[object], seconds: float) -> None:
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError as error:
        problem = f"the store did not open in {seconds:g} s"
        raise StoreUnavailable(problem, "see that the service is reached from here") from error


def _read(service: Service, end: float, names: Sequence[str]) -> Mapping[str, bytes]:
    """Read documents; what is refused for now is asked again while there is time."""
    patience = Patience(end - time.monotonic())
    while True:
        try:
            return service.read(names, max(end - time.monotonic(), 0.001))
        except StoreUnavailable as error:
            patience.wait(error)
