"""Batched look-ups in Redis: requests of one turn of an event loop become one MGET."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.resources.redis.failure import failure
from loopline.resources.redis.gathering import Gathering

if TYPE_CHECKING:
    from loopline.resources.redis.link import Link


class Lookup(NamedTuple):
    """Keys that one request wants, and where their values go."""

    keys: Sequence[str]
    values: asyncio.Future[list[bytes | None]]


class Pipeline(Gathering[Lookup]):
    """Sends look-ups to the server."""

    async def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key.

        Raises:
            StoreUnavailable: there is no connection, or no answer in time.
        """
        ask = Lookup(keys, asyncio.get_running_loop().create_future())
        self._add(ask)
        return await ask.values

    def _write(self, link: Link, waiting: list[Lookup]) -> None:
        keys = [key for ask in waiting for key in ask.keys]
        link.send(("MGET", *keys), lambda reply: _share(waiting, reply))

    def _refuse(self, waiting: list[Lookup], why: ConnectionError) -> None:
        _share(waiting, why)


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
