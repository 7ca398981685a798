"""Online store on Redis Cluster: one packed value a view and entity; the newest event wins."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, PrivateAttr

from loopline.platform_core.contracts.online_packing import unpack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.resources.redis.url import of_cluster

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.redis_cluster.client import Background, Client

Asks = Sequence[tuple[str, Sequence[Key]]]


class RedisClusterOnlineStore(OnlineStore):
    """Rows under ``<prefix><view>:{<key>}``: all views of an entity are in one slot, and so on one server.

    ``url`` is ``redis://[user:password@]host[:port]`` or ``rediss://`` for TLS (``?ssl_ca_certs=``, ``ssl_certfile=``
    and ``ssl_keyfile=`` name files) of any server of the cluster; ``seeds`` are others (``host:port``), for when that
    one is away at the start. Primaries are asked, never replicas. Nothing is waited for longer than
    ``timeout_seconds``; a write waits so long for each two thousand rows.
    """

    extras = ("redis",)
    url: Annotated[str, AfterValidator(of_cluster)] = "redis://localhost:6379"
    seeds: tuple[str, ...] = ()
    timeout_seconds: float = Field(1.0, gt=0)
    prefix: str = Field("loopline:", pattern=r"^[^{}]*$")
    _backgrounds: dict[int, Background] = PrivateAttr(default_factory=dict)
    _clients: dict[asyncio.AbstractEventLoop, Client] = PrivateAttr(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch every row of every ask, one MGET a slot, from all servers at once."""
        background = self._background()
        return background.wait(self._fetched(background.client, asks))

    async def fetch(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does."""
        return await self._fetched(self._client(), asks)

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, one key a command; a time-out may leave a part written."""
        from loopline.resources.redis.newest_wins import batches
        from loopline.resources.redis_cluster.changing import KEEPING, carry_out

        background = self._background()
        commands = batches(self._head(view), newest(entity, rows), keep, "}", at_once=1)
        return background.wait(carry_out(background.client, KEEPING, commands))

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void, one key a command; a time-out may leave a part done."""
        from loopline.resources.redis.newest_wins import replacing_batches
        from loopline.resources.redis_cluster.changing import REPLACING, carry_out

        background = self._background()
        commands = replacing_batches(self._head(view), replacing(entity, rows, void, keep), keep, "}", at_once=1)
        return background.wait(carry_out(background.client, REPLACING, commands))

    def drop(self, view: str) -> None:
        """Forget a view; each server walks over its keys without stopping for long."""
        self._forget(self._head(view))

    @contextmanager
    def set_apart(self, name: str) -> Iterator[RedisClusterOnlineStore]:
        """Give a prefix of its own below this one's."""
        place = self.with_settings(prefix=f"{self.prefix}{name}:")
        try:
            yield place
        finally:
            place.close()
            self._forget(place.prefix)

    def close(self) -> None:
        """Let every connection go."""
        if (background := self._backgrounds.pop(os.getpid(), None)) is not None:
            background.close()
        while self._clients:
            loop, client = self._clients.popitem()
            if not loop.is_closed():
                asyncio.run_coroutine_threadsafe(client.close(), loop)

    def _forget(self, begin: str) -> None:
        from loopline.resources.redis.online_store import escaped
        from loopline.resources.redis_cluster.changing import forget

        background = self._background()
        background.wait(forget(background.client, f"{escaped(begin)}*"))

    def _head(self, view: str) -> str:
        return f"{self.prefix}{view}:{{"

    async def _fetched(self, client: Client, asks: Asks) -> list[list[OnlineRow | None]]:
        names = [f"{head}{key}}}" for view, keys in asks for head in [self._head(view)] for key in keys]
        values = iter(await client.values(names))
        return [[None if v is None else unpack(v) for v in islice(values, len(keys))] for _, keys in asks]

    def _background(self) -> Background:
        """Return this process's own loop in a thread."""
        here = os.getpid()
        if here not in self._backgrounds:
            from loopline.resources.redis_cluster.client import Background

            with self._lock:
                if here not in self._backgrounds:
                    self._backgrounds[here] = Background(self.url, self.seeds, self.timeout_seconds)
        return self._backgrounds[here]

    def _client(self) -> Client:
        """Return what the event loop that runs asks with."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            from loopline.resources.redis_cluster.client import Client

            for ended in [old for old in self._clients if old.is_closed()]:
                del self._clients[ended]
            self._clients[loop] = Client(self.url, self.seeds, self.timeout_seconds)
        return self._clients[loop]
