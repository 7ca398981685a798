"""Batched look-ups in Redis: requests of one turn of an event loop become one MGET."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from loopline.resources.redis.failure import failure
from loopline.resources.redis.link import Link, connected


class Lookup(NamedTuple):
    """Keys that one request wants, and where their values go."""

    keys: Sequence[str]
    values: asyncio.Future[list[bytes | None]]


class Pipeline:
    """Collects look-ups and sends them; connects when it must, also after the server was away."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._waiting: list[Lookup] = []
        self._planned = False
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key; look-ups of the same turn are sent at its end.

        Raises:
            StoreUnavailable: there is no connection, or no answer in time.
        """
        loop = asyncio.get_running_loop()
        ask = Lookup(keys, loop.create_future())
        self._waiting.append(ask)
        if not self._planned:
            self._planned = True
            loop.call_soon(self._flush)
        return await ask.values

    def close(self) -> None:
        """End the connection; who waits is told so."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.end("it was closed")

    def _flush(self) -> None:
        self._planned = False
        if self._link is None or not self._link.is_open:
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        waiting, self._waiting = self._waiting, []
        if waiting:
            keys = [key for ask in waiting for key in ask.keys]
            self._link.send(("MGET", *keys), lambda reply: _share(waiting, reply))

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
        _share(waiting, ConnectionError(why))


def _share(asks: Sequence[Lookup], reply: Any) -> None:
    """Cut a reply into what each ask wanted; whoever asked may have gone."""
    if isinstance(reply, Exception):
        for ask in asks:
            if not ask.values.done():
                ask.values.set_exception(failure(str(reply)))
        return
    values = iter(reply)
    for ask in asks:
        own = list(islice(values, len(ask.keys)))
        if not ask.values.done():
            ask.values.set_result(own)
