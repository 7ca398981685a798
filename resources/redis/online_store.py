"""Online features in Redis: a packed value a view and entity, of which the newest event stays.

One server, or a primary with replicas: keys of one request lie in many hash slots, so Redis Cluster is out of scope.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from platform_core.contracts.online_packing import pack, unpack
from platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest
from platform_core.errors import StoreUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.redis.pipeline import Pipeline

Command = Sequence[str | bytes | int]
BATCH_KEYS = 250
"""Keys written by one call of the script, which holds the server for about a millisecond."""
BATCHES_UNDERWAY = 4
KEEP_NEWEST = """
local held = 0
local expire = #ARGV > #KEYS
for i, key in ipairs(KEYS) do
  local new, old = ARGV[i], redis.call('GETRANGE', key, 0, 7)
  local wins = #old < 8
  if not wins then
    -- as numbers: Lua compares text by the server's locale
    local high, low = struct.unpack('>I4I4', new)
    local old_high, old_low = struct.unpack('>I4I4', old)
    wins = high > old_high or (high == old_high and low >= old_low)
  end
  if wins then
    held = held + 1
    if expire then
      redis.call('SET', key, new, 'PX', ARGV[#KEYS + i])
    else
      redis.call('SET', key, new)
    end
  end
end
return held
"""
SHA = hashlib.sha1(KEEP_NEWEST.encode()).hexdigest()  # noqa: S324 - Redis names scripts so


class RedisOnlineStore(OnlineStore):
    """Rows under ``<prefix><view>:<key>``.

    ``url`` is ``redis://[user:password@]host[:port][/db]``, ``rediss://`` for TLS or ``unix://path``; nothing is
    waited for longer than ``timeout_seconds``.
    """

    url: str = Field("redis://localhost:6379/0", pattern="^(rediss?|unix)://")
    timeout_seconds: float = Field(1.0, gt=0)
    prefix: str = "loopline:"
    _pool: Any = PrivateAttr(None)
    _pipelines: dict[asyncio.AbstractEventLoop, Pipeline] = PrivateAttr(default_factory=dict)

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch every row of every ask in one MGET."""
        keys = self._keys(asks)
        packed = self._call(("MGET", *keys)) if keys else []
        return _rows(asks, packed)

    async def fetch(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does; what is asked in the same turn of the event loop shares an MGET."""
        keys = self._keys(asks)
        return _rows(asks, await self._pipeline().values(keys) if keys else [])

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, a few hundred keys at a time; a time-out may leave a part written."""
        found = newest(entity, rows)
        batches = _batches(f"{self.prefix}{view}:", found, keep)
        with self._lent() as connection:
            held, refused = _run(connection, ("EVALSHA", SHA), batches)
            # a server that was started anew, or flushed, has forgotten the script
            return held + _run(connection, ("EVAL", KEEP_NEWEST), refused)[0]

    def drop(self, view: str) -> None:
        """Forget a view; the server walks over its keys without stopping for long."""
        match, cursor = f"{_escaped(self.prefix + view)}:*", "0"
        while True:
            cursor, keys = self._call(("SCAN", cursor, "MATCH", match, "COUNT", 1000))
            if keys:
                self._call(("UNLINK", *keys))
            if int(cursor) == 0:
                return

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

    def _call(self, command: Command) -> Any:
        with self._lent() as connection:
            connection.send_packed_command(_packed(command))
            return connection.read_response()

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """Lend a connection to one thread; the pool opens new ones in a process that was forked."""
        import redis

        if self._pool is None:
            self._pool = _new_pool(self.url, self.timeout_seconds)
        connection: Any = None
        try:
            connection = self._pool.get_connection()
            yield connection
        except (redis.RedisError, OSError) as error:
            if connection is not None:
                connection.disconnect()  # an answer may still be on its way
            raise _unavailable(error) from error
        except BaseException:
            if connection is not None:
                connection.disconnect()
            raise
        finally:
            if connection is not None:
                self._pool.release(connection)

    def _pipeline(self) -> Pipeline:
        """Return the pipeline of the event loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._pipelines:
            from resources.redis.pipeline import Pipeline

            for ended in [old for old in self._pipelines if old.is_closed()]:
                del self._pipelines[ended]
            self._pipelines[loop] = Pipeline(self.url, self.timeout_seconds)
        return self._pipelines[loop]


def _rows(asks: Sequence[tuple[str, Sequence[Key]]], packed: Iterable[bytes | None]) -> list[list[OnlineRow | None]]:
    values = iter(packed)
    return [[None if v is None else unpack(v) for v in islice(values, len(keys))] for _, keys in asks]


def _batches(head: str, rows: dict[Key, OnlineRow], keep: Keep | None) -> Iterator[Command]:
    """Yield the script's arguments: how many keys, the keys, their values, and with ``keep`` their milliseconds."""
    oldest_us = None if keep is None else keep.oldest_us
    ordered = ((key, row) for key, row in rows.items() if oldest_us is None or row.event_time_us >= oldest_us)
    while batch := list(islice(ordered, BATCH_KEYS)):
        expiry = () if oldest_us is None else [(row.event_time_us - oldest_us) // 1000 + 1 for _, row in batch]
        yield (len(batch), *(head + key for key, _ in batch), *(pack(row) for _, row in batch), *expiry)


def _run(connection: Any, script: Command, batches: Iterable[Command]) -> tuple[int, list[Command]]:
    """Run the script on each batch, some underway at once.

    Returns:
        How many keys hold a row of these batches, and the batches that met a server without the script.
    """
    from redis.exceptions import NoScriptError

    held, refused = 0, []
    underway: deque[Command] = deque()

    def answer() -> None:
        nonlocal held
        batch = underway.popleft()
        try:
            held += connection.read_response()
        except NoScriptError:
            refused.append(batch)

    for batch in batches:
        connection.send_packed_command(_packed((*script, *batch)))
        underway.append(batch)
        if len(underway) == BATCHES_UNDERWAY:
            answer()
    while underway:
        answer()
    return held, refused


def _packed(command: Command) -> list[bytes]:
    import hiredis

    return [hiredis.pack_command(tuple(command))]


def _escaped(text: str) -> str:
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


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"Redis: {error}", "see that the server runs and is reached, and that it lets this user in")
