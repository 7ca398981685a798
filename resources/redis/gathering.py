"""Batched requests of an event loop's turn, over a connection that is opened when needed."""

from __future__ import annotations

import abc
import asyncio
from typing import Generic, TypeVar

from loopline.resources.redis.link import Link, connected

T = TypeVar("T")


class Gathering(abc.ABC, Generic[T]):
    """Collects what is to be asked and sends it; connects when it must, also after the server was away."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._waiting: list[T] = []
        self._planned = False
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Say whether there is a connection."""
        return self._link is not None and self._link.is_open

    def close(self) -> None:
        """End the connection; who waits is told so."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.end("it was closed")

    @abc.abstractmethod
    def _write(self, link: Link, waiting: list[T]) -> None:
        """Send what waits; there is at least one."""

    @abc.abstractmethod
    def _refuse(self, waiting: list[T], why: ConnectionError) -> None:
        """Tell those who wait that there is no connection."""

    def _add(self, one: T) -> None:
        """Have it sent at the end of this turn, after those that were given before."""
        self._waiting.append(one)
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._planned = False
        if self._link is None or not self._link.is_open:
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write(self._link, waiting)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                self._link = await connected(self._url, self._timeout_seconds)
        except OSError as error:
            self._give_up(f"no connection: {str(error) or 'no answer in time'}")
        except asyncio.CancelledError:
            self._give_up("it was closed")
        else:
            self._connecting = None
            self._flush()

    def _give_up(self, why: str) -> None:
        self._connecting = None
        waiting, self._waiting = self._waiting, []
        self._refuse(waiting, ConnectionError(why))
