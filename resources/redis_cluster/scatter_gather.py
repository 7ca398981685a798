"""Scatter and gather: single-key commands go to the node that holds each key, replies come back in order.

A command has one key: so none is refused while its slot moves from one server to another, as those of several are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from loopline.platform_core.errors import StoreUnavailable
from loopline.resources.redis.failure import failure
from loopline.resources.redis_cluster.node import Command
from loopline.resources.redis_cluster.slots import Address, redirected
from loopline.resources.redis_cluster.topology import Topology

HOPS = 5
"""How often one command is sent on before it is given up: the servers do not agree."""
_FIX = "see that the servers run, reach each other (redis-cli --cluster check), and let this user in"
_NOBODY = ("", 0)


class Aimed(NamedTuple):
    """A command of one key, and the key's slot."""

    slot: int
    command: Command


class _Trip:
    """Commands of one call: replies so far, and how many are missing."""

    def __init__(self, aimed: Sequence[Aimed]) -> None:
        self.aimed = aimed
        self.replies: list[Any] = [None] * len(aimed)
        self.hops: dict[int, int] = {}
        self.missing = len(aimed)
        self.done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def put(self, at: int, reply: Any) -> None:
        """Take a reply; who asked may have gone."""
        self.replies[at] = reply
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(self.replies)

    def give_up(self, why: Exception) -> None:
        """End it with an error; what is still underway is heard by nobody."""
        if not self.done.done():
            self.done.set_exception(why)


class Scattered:
    """Sends commands over the cluster, for one event loop."""

    def __init__(self, url: str, seeds: Sequence[str], timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self.topology = Topology(url, seeds, timeout_seconds)

    async def run(self, aimed: Sequence[Aimed]) -> list[Any]:
        """Send commands, all at once; returns their replies, ``hiredis.ReplyError`` of those that are refused.

        Raises:
            StoreUnavailable: a server is away, or not all of them answered in time; some commands may be done.
        """
        if not aimed:
            return []
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._sent(aimed)
        except TimeoutError as error:
            raise failure(f"the cluster gave no answer in {self._timeout_seconds:g} s") from error

    async def ask(self, address: Address, command: Command) -> Any:
        """Send a command to one server; returns its reply, errors included.

        Raises:
            StoreUnavailable: it is away.
        """
        reply = await self.topology.node(address).ask(*command)
        if isinstance(reply, ConnectionError):
            self.topology.doubt(address)
            raise StoreUnavailable(f"Redis Cluster, {address[0]}:{address[1]}: {reply}", _FIX)
        return reply

    def close(self) -> None:
        """End every connection."""
        self.topology.close()

    async def _sent(self, aimed: Sequence[Aimed]) -> list[Any]:
        held = (await self.topology.known()).owners
        owners = [owner for one in aimed if (owner := held[one.slot]) is not None]
        if len(owners) < len(aimed):
            self.topology.doubt(_NOBODY)
            raise StoreUnavailable("Redis Cluster: some slots are nobody's", _FIX)
        trip = _Trip(aimed)
        for at, owner in enumerate(owners):
            self._send(trip, at, owner)
        return await trip.done

    def _send(self, trip: _Trip, at: int, to: Address, *, asking: bool = False) -> None:
        node = self.topology.node(to)
        if asking:
            node.send(("ASKING",), _ignore)
        node.send(trip.aimed[at].command, lambda reply: self._heard(trip, at, to, reply))

    def _heard(self, trip: _Trip, at: int, by: Address, reply: Any) -> None:
        if not isinstance(reply, Exception):
            trip.put(at, reply)
            return
        told = str(reply)
        if isinstance(reply, ConnectionError) or told.startswith(("CLUSTERDOWN", "LOADING", "READONLY")):
            self.topology.doubt(by)
            trip.give_up(StoreUnavailable(f"Redis Cluster, {by[0]}:{by[1]}: {told}", _FIX))
        elif (redirect := redirected(told, by)) is None:
            trip.put(at, reply)
        elif trip.hops.get(at, 0) >= HOPS:
            trip.give_up(StoreUnavailable(f"Redis Cluster sends slot {redirect.slot} around: {told}", _FIX))
        else:
            trip.hops[at] = trip.hops.get(at, 0) + 1
            if not redirect.asking and self.topology.map is not None:
                self.topology.map.owners[redirect.slot] = redirect.address
                self.topology.doubt(by)
            self._send(trip, at, redirect.address, asking=redirect.asking)


def _ignore(reply: Any) -> None:
    """Leave it: the command behind it tells more."""
