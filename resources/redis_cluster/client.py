"""Redis Cluster by redis-py: commands of one slot each, sent to the primaries in one write a server.

redis-py knows the slots and follows redirections. What it leaves to us: one deadline for all that a call does, no
command sent twice in silence, and the map of slots learned again without ending what other calls wait for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from loopline.platform_core.errors import LooplineError, StoreUnavailable, Unsupported

T = TypeVar("T")
Command = Sequence[str | bytes | int]
Aimed = tuple[str, Command]
"""A key, and a command of keys that are all in its slot."""
AT_ONCE = 64
"""Calls of one event loop that are underway at once: each takes a connection a server, the others wait."""
TRIED = 3
"""How often a server is asked for the map of slots within one time-out."""
AWAY = (*RedisCluster.ERRORS_ALLOW_RETRY, exceptions.ReadOnlyError)
REDIRECTED = (exceptions.AskError, exceptions.MovedError, exceptions.TryAgainError)
_FIX = "see that the servers run, reach each other (redis-cli --cluster check), and let this user in"


class Client:
    """Asks a cluster from one event loop. ``url`` and ``seeds`` (``host:port``) say how to reach any of its servers."""

    def __init__(self, url: str, seeds: Sequence[str], timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._has_begun, self._map_is_old = False, True
        self._cluster: RedisCluster = RedisCluster.from_url(
            url,
            startup_nodes=[ClusterNode(*_address(seed)) for seed in seeds],
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),  # whoever asks decides whether to try again
            reinitialize_steps=0,  # it would end the connections of other calls
            max_connections=2 * AT_ONCE,
            protocol=2,
        )
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self, commands: Sequence[Aimed], *, redirects: bool = True) -> list[Any]:
        """Send commands to who holds their keys; returns replies in their order, refusals as exceptions.

        Without ``redirects`` a redirection is a refusal as well, and not followed.

        Raises:
            StoreUnavailable: a server is away, or not all answered in time; some commands may be done.
            Unsupported: a server is part of no cluster.
        """
        if not commands:
            return []
        async with self._asking(self._timeout_seconds) as cluster:
            pipeline = cluster.pipeline()
            for key, command in commands:
                pipeline.execute_command(*command, target_nodes=cluster.get_node_from_key(key))
            said = await pipeline.execute(raise_on_error=False, allow_redirections=redirects)
            if away := [reply for reply in said if isinstance(reply, AWAY)]:
                raise next((reply for reply in away if isinstance(reply, exceptions.ClusterDownError)), away[0])
            return said

    async def values(self, names: Sequence[str]) -> list[bytes | None]:
        """Return each key's value by one MGET a slot; of a slot that is moving, key by key, which is never refused."""
        slots: dict[int, list[int]] = {}
        for at, name in enumerate(names):
            slots.setdefault(key_slot(name.encode()), []).append(at)
        asked = [(names[each[0]], ("MGET", *(names[at] for at in each))) for each in slots.values()]
        said = await self.run(asked, redirects=False)
        moving = [at for each, reply in zip(slots.values(), said, strict=True) if _is_moving(reply) for at in each]
        one_by_one = await self.run([(names[at], ("GET", names[at])) for at in moving])
        found: list[bytes | None] = [None] * len(names)
        for each, reply in zip(slots.values(), said, strict=True):
            for at, value in zip(each, each if _is_moving(reply) else checked(reply), strict=True):
                found[at] = value
        for at, value in zip(moving, one_by_one, strict=True):
            found[at] = checked(value)
        return found

    async def keys(self, match: str) -> list[str]:
        """Return the keys that match, of all primaries as the map has them; each step has the time-out to itself."""
        async with self._asking(None) as cluster:
            return [key.decode() async for key in cluster.scan_iter(match, count=1000)]

    async def close(self) -> None:
        """End every connection."""
        await self._cluster.aclose()

    @asynccontextmanager
    async def _asking(self, timeout_seconds: float | None) -> AsyncIterator[RedisCluster]:
        """Lend redis-py's client within a deadline; whatever goes wrong has the map of slots learned again."""
        try:
            async with asyncio.timeout(timeout_seconds), self._room:
                if self._map_is_old:
                    await self._learn()
                yield self._cluster
        except TimeoutError as error:
            self._map_is_old = True
            raise _away(f"no answer in {self._timeout_seconds:g} s") from error
        except (exceptions.RedisError, exceptions.RedisClusterException) as error:
            self._map_is_old = True
            raise self._failure(error) from error

    async def _learn(self) -> None:
        """Learn who holds which slots; redis-py asks a server by chance, so a later try gets past one that hangs."""
        for attempt in range(1, TRIED + 1):
            try:
                async with asyncio.timeout(self._timeout_seconds / (TRIED + 1)):
                    await self._begun()
                    break
            except TimeoutError:
                if attempt == TRIED:
                    raise
        self._map_is_old = False

    async def _begun(self) -> None:
        if self._has_begun:
            await self._cluster.nodes_manager.initialize()
        await self._cluster.initialize()
        self._has_begun = True

    def _failure(self, error: Exception) -> LooplineError:
        text = str(error) or type(error).__name__
        if "Cluster mode is not enabled" in text:
            return Unsupported(f"Redis Cluster: {text}", "bind the vendor 'redis' instead")
        if isinstance(error, exceptions.TimeoutError):
            return _away(f"no answer in {self._timeout_seconds:g} s: {text}")
        return _away(text)


class Background:
    """A client on an event loop in a thread, for callers that wait."""

    def __init__(self, url: str, seeds: Sequence[str], timeout_seconds: float) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="loopline-redis-cluster", daemon=True).start()
        self.client = self.wait(self._made(url, seeds, timeout_seconds))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a work on the loop and return what comes of it; who is interrupted ends it."""
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def close(self) -> None:
        """Let connections and the thread go."""
        self.wait(self.client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _made(self, url: str, seeds: Sequence[str], timeout_seconds: float) -> Client:
        return Client(url, seeds, timeout_seconds)


def _is_moving(reply: Any) -> bool:
    return isinstance(reply, REDIRECTED)


def checked(reply: Any) -> Any:
    """Return a reply that is no refusal."""
    if isinstance(reply, Exception):
        raise StoreUnavailable(f"Redis Cluster: {reply}", "see that this user may do it") from reply
    return reply


def _away(why: str) -> StoreUnavailable:
    return StoreUnavailable(f"Redis Cluster: {why}", _FIX)


def _address(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return (host.strip("[]"), int(port)) if host and not port.endswith("]") else (place.strip("[]"), 6379)
