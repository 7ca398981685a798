"""Topology of a Redis Cluster: discovers nodes and slot owners, and refreshes them when they change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from loopline.platform_core.errors import LooplineError, StoreUnavailable, Unsupported
from loopline.resources.redis.failure import failure
from loopline.resources.redis_cluster.node import Node
from loopline.resources.redis_cluster.slots import PORT, Address, SlotMap

AGAIN_SECONDS = 0.1
"""How soon the map is learned again: of many commands that failed at once, one asks for it."""
TRIED = 3
"""Servers that can be asked for the map, one after another, within one time-out."""


class Topology:
    """The servers that an event loop talks to. ``url`` says how to reach any of them; ``seeds`` are others to ask."""

    def __init__(self, url: str, seeds: Sequence[str], timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._seeds = [_address(urlsplit(url).netloc), *map(_address, seeds)]
        self._nodes: dict[Address, Node] = {}
        self._learning: asyncio.Task[SlotMap] | None = None
        self._learned_at = float("-inf")
        self.map: SlotMap | None = None

    def node(self, address: Address) -> Node:
        """Return a server; it is connected to when it is first asked."""
        if address not in self._nodes:
            place = urlsplit(self._url)
            who, at, _ = place.netloc.rpartition("@")
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            url = place._replace(netloc=f"{who}{at}{host}:{address[1]}").geturl()
            self._nodes[address] = Node(url, self._timeout_seconds)
        return self._nodes[address]

    async def known(self) -> SlotMap:
        """Return who holds what, as it was learned last.

        Raises:
            StoreUnavailable: no server tells.
            Unsupported: a server is part of no cluster.
        """
        if self.map is None:
            await asyncio.shield(self._learn_once())
        return self.map or SlotMap()

    def doubt(self, address: Address) -> None:
        """Learn the map again, from others than this one if there are: it did not answer, or not what it should."""
        if time.monotonic() - self._learned_at >= AGAIN_SECONDS:
            self._learn_once(address)

    def close(self) -> None:
        """End every connection."""
        if self._learning is not None:
            self._learning.cancel()
        for node in self._nodes.values():
            node.close()

    def _learn_once(self, doubted: Address | None = None) -> asyncio.Task[SlotMap]:
        if self._learning is None or self._learning.done():
            self._learned_at = time.monotonic()
            self._learning = asyncio.get_running_loop().create_task(self._learn(doubted))
            self._learning.add_done_callback(_heard)
        return self._learning

    async def _learn(self, doubted: Address | None) -> SlotMap:
        why: LooplineError = StoreUnavailable("Redis Cluster: it has no servers", "see that one of them is named")
        candidates = self._candidates(doubted)
        for address in candidates:
            said = await self._slots_by(address, self._timeout_seconds / min(len(candidates), TRIED))
            if not isinstance(said, Exception):
                self.map = SlotMap.told(said, address)
                self._let_go(self.map.addresses())
                return self.map
            why = _of_no_cluster(address) if "cluster support disabled" in str(said) else failure(str(said))
        raise why

    async def _slots_by(self, address: Address, patience: float) -> Any:
        """Return what a server says of slots: one that hangs must leave time to ask another."""
        try:
            return await asyncio.wait_for(self.node(address).ask("CLUSTER", "SLOTS"), patience)
        except TimeoutError:
            return ConnectionError(f"no answer in {patience:g} s")

    def _candidates(self, doubted: Address | None) -> list[Address]:
        """Return whom to ask: those who are connected, then the others, and who is doubted last."""
        held = [] if self.map is None else self.map.addresses()
        addresses = list(dict.fromkeys([*held, *self._seeds]))
        return sorted(addresses, key=lambda each: (each == doubted, not self.node(each).is_open))

    def _let_go(self, there: Sequence[Address]) -> None:
        """Forget servers that have left: they hold nothing, and nobody is connected to them."""
        for address in [each for each, node in self._nodes.items() if each not in there and not node.is_open]:
            del self._nodes[address]


def _heard(learning: asyncio.Task[SlotMap]) -> None:
    """Take in what came of it, so that a failure that nobody waited for is not told at the end of the process."""
    if not learning.cancelled():
        learning.exception()


def _of_no_cluster(address: Address) -> Unsupported:
    return Unsupported(f"Redis at {address[0]}:{address[1]} is no cluster", "bind the vendor 'redis' instead")


def _address(place: str) -> Address:
    host, _, port = place.rpartition("@")[2].rpartition(":")
    if not host or port.endswith("]"):
        return place.rpartition("@")[2].strip("[]"), PORT
    return host.strip("[]"), int(port)
