"""Online store on Redis: one packed value a view and entity; the newest event wins.

One server, or a primary with replicas. A Redis Cluster, where keys of one request lie on many servers, is
``resources/redis_cluster``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr

from loopline.platform_core.contracts.online_packing import unpack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.platform_core.errors import ContractBroken
from loopline.resources.redis.failure import of_redis_py
from loopline.resources.redis.url import of_server

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.redis.pipeline import Pipeline


class RedisOnlineStore(OnlineStore):
    """Rows under ``<prefix><view>:<key>``.

    ``url`` is ``redis://[user:password@]host[:port][/db]``, ``rediss://`` for TLS (``?ssl_ca_certs=``,
    ``ssl_certfile=`` and ``ssl_keyfile=`` name files) or ``unix://path?db=``. Nothing is waited for longer than
    ``timeout_seconds``. ``shared`` is for a server where others have their keys as well, and this user may only do what
    ``tenant_store.redis`` allows: it must be so from the first write on, since keys are forgotten by lists.
    """

    extras = ("redis",)
    url: Annotated[str, AfterValidator(of_server)] = "redis://localhost:6379/0"
    timeout_seconds: float = Field(1.0, gt=0)
    prefix: str = "loopline:"
    shared: bool = False
    _pool: Any = PrivateAttr(None)
    _pipelines: dict[asyncio.AbstractEventLoop, Pipeline] = PrivateAttr(default_factory=dict)

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch every row of every ask in one MGET."""
        keys = self._keys(asks)
        packed = self._call("MGET", *keys) if keys else []
        return _rows(asks, packed)

    async def fetch(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does; what is asked in the same turn of the event loop shares an MGET."""
        keys = self._keys(asks)
        return _rows(asks, await self._pipeline().values(keys) if keys else [])

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, a few hundred keys at a time; a time-out may leave a part written."""
        from loopline.resources.redis import functions, newest_wins

        with self._lent() as connection:
            if self.shared:
                return functions.write(connection, functions.Place(self.prefix, view), newest(entity, rows), keep)
            return newest_wins.write(connection, f"{self.prefix}{view}:", newest(entity, rows), keep)

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void, a few hundred keys at a time; a time-out may leave a part done."""
        from loopline.resources.redis import functions, newest_wins

        with self._lent() as connection:
            asked = replacing(entity, rows, void, keep)
            if self.shared:
                return functions.replace(connection, functions.Place(self.prefix, view), asked, keep)
            return newest_wins.replace(connection, f"{self.prefix}{view}:", asked, keep)

    def drop(self, view: str) -> None:
        """Forget a view; the server walks over its keys without stopping for long."""
        if self.shared:
            from loopline.resources.redis import functions

            with self._lent() as connection:
                return functions.drop(connection, functions.Place(self.prefix, view))
        return self._forget(f"{self.prefix}{view}:")

    def _forget(self, head: str) -> None:
        match, cursor = f"{escaped(head)}*", "0"
        while True:
            cursor, keys = self._call("SCAN", cursor, "MATCH", match, "COUNT", 1000)
            if keys:
                self._call("UNLINK", *keys)
            if int(cursor) == 0:
                return

    @contextmanager
    def set_apart(self, name: str) -> Iterator[RedisOnlineStore]:
        """Give a prefix of its own below this one's."""
        place = self.with_settings(prefix=f"{self.prefix}{name}:")
        try:
            yield place
        finally:
            place.clear()
            place.close()

    def clear(self) -> None:
        """Forget every view below the prefix.

        Raises:
            ContractBroken: there is no prefix, so that nothing is kept apart from what is others'.
        """
        if not self.prefix:
            raise ContractBroken("Redis: without a prefix all keys are meant", "name a prefix")
        if not self.shared:
            return self._forget(self.prefix)
        from loopline.resources.redis import functions

        with self._lent() as connection:
            return functions.drop_all(connection, self.prefix)

    def close(self) -> None:
        """Let every connection go."""
        if self._pool is not None:
            self._pool.disconnect()
        while self._pipelines:
            loop, pipeline = self._pipelines.popitem()
            if not loop.is_closed():
                loop.call_soon_threadsafe(pipeline.close)

    def _keys(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[str]:
        found: list[str] = []
        for view, keys in asks:
            head = f"{self.prefix}{view}:"
            found += [head + key for key in keys]
        return found

    def _call(self, *command: str | int) -> Any:
        import hiredis

        with self._lent() as connection:
            connection.send_packed_command([hiredis.pack_command(command)])
            return connection.read_response()

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """Lend a connection to one thread; the pool opens new ones in a process that was forked."""
        import redis

        if self._pool is None:
            self._pool = _new_pool(self.url, self.timeout_seconds)
        try:
            connection: Any = self._pool.get_connection()
            try:
                yield connection
            except BaseException:
                connection.disconnect()  # an answer may still be on its way
                raise
            finally:
                self._pool.release(connection)
        except (redis.RedisError, OSError) as error:
            raise of_redis_py(error) from error

    def _pipeline(self) -> Pipeline:
        """Return the pipeline of the event loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._pipelines:
            from loopline.resources.redis.pipeline import Pipeline

            for ended in [old for old in self._pipelines if old.is_closed()]:
                del self._pipelines[ended]
            self._pipelines[loop] = Pipeline(self.url, self.timeout_seconds)
        return self._pipelines[loop]


def _rows(asks: Sequence[tuple[str, Sequence[Key]]], packed: Iterable[bytes | None]) -> list[list[OnlineRow | None]]:
    values = iter(packed)
    return [[None if v is None else unpack(v) for v in islice(values, len(keys))] for _, keys in asks]


def escaped(text: str) -> str:
    """Write a text so that a pattern of Redis means it as it is."""
    return "".join(f"\\{letter}" if letter in "*?[]^\\" else letter for letter in text)


def _new_pool(url: str, timeout_seconds: float) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.ConnectionPool.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),  # whoever asks decides whether to try again
        protocol=2,
    )
