"""Online store on Redis Cluster: one packed value a view and entity; the newest event wins."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr

from loopline.platform_core.contracts.online_packing import unpack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.resources.redis.url import of_cluster

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.redis_cluster.background import Background
    from loopline.resources.redis_cluster.changing import Named
    from loopline.resources.redis_cluster.scatter_gather import Aimed, Scattered

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
    _clusters: dict[asyncio.AbstractEventLoop, Scattered] = PrivateAttr(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch every row of every ask, one GET a row, from all servers at once."""
        background = self._background()
        return _rows(asks, background.wait(background.cluster.run(self._gets(asks))))

    async def fetch(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does; what is asked in the same turn of the event loop travels together."""
        return _rows(asks, await self._cluster().run(self._gets(asks)))

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, one key a command; a time-out may leave a part written."""
        from loopline.resources.redis_cluster.changing import KEEPING, carry_out, written

        background = self._background()
        wishes = written(self._named(view), newest(entity, rows).items(), keep)
        return background.wait(carry_out(background.cluster, KEEPING, wishes))

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void, one key a command; a time-out may leave a part done."""
        from loopline.resources.redis_cluster.changing import REPLACING, carry_out, replaced

        background = self._background()
        wishes = replaced(self._named(view), replacing(entity, rows, void, keep), keep)
        return background.wait(carry_out(background.cluster, REPLACING, wishes))

    def drop(self, view: str) -> None:
        """Forget a view; each server walks over its keys without stopping for long."""
        self._forget(f"{self.prefix}{view}:{{")

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
        while self._clusters:
            loop, cluster = self._clusters.popitem()
            if not loop.is_closed():
                loop.call_soon_threadsafe(cluster.close)

    def _forget(self, begin: str) -> None:
        from loopline.resources.redis.online_store import escaped
        from loopline.resources.redis_cluster.changing import forget

        background = self._background()
        background.wait(forget(background.cluster, f"{escaped(begin)}*"))

    def _named(self, view: str) -> Named:
        head = f"{self.prefix}{view}:"
        return lambda key: f"{head}{{{key}}}"

    def _gets(self, asks: Asks) -> list[Aimed]:
        from loopline.resources.redis_cluster.scatter_gather import Aimed
        from loopline.resources.redis_cluster.slots import slot_of

        names = [name for view, keys in asks for name in map(self._named(view), keys)]
        return [Aimed(slot_of(name), ("GET", name)) for name in names]

    def _background(self) -> Background:
        """Return this process's own loop in a thread."""
        here = os.getpid()
        if here not in self._backgrounds:
            from loopline.resources.redis_cluster.background import Background

            with self._lock:
                if here not in self._backgrounds:
                    self._backgrounds[here] = Background(self._new())
        return self._backgrounds[here]

    def _cluster(self) -> Scattered:
        """Return what the event loop that runs asks with."""
        loop = asyncio.get_running_loop()
        if loop not in self._clusters:
            for ended in [old for old in self._clusters if old.is_closed()]:
                del self._clusters[ended]
            self._clusters[loop] = self._new()
        return self._clusters[loop]

    def _new(self) -> Scattered:
        from loopline.resources.redis_cluster.scatter_gather import Scattered

        return Scattered(self.url, self.seeds, self.timeout_seconds)


def _rows(asks: Asks, said: Sequence[Any]) -> list[list[OnlineRow | None]]:
    from loopline.resources.redis_cluster.changing import raised

    values = iter(raised(said))
    return [[None if v is None else unpack(v) for v in islice(values, len(keys))] for _, keys in asks]
