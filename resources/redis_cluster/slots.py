"""Hash slots of a Redis Cluster: which node holds a key, and MOVED and ASK redirections.

Source: the Redis cluster specification, "Key distribution model" and "Redirection and resharding".
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SLOTS = 16384
PORT = 6379
Address = tuple[str, int]
"""A server's host and port."""


class Redirect(NamedTuple):
    """Who is to be asked instead: for good, or with ``asking`` this once, since the key is on its way there."""

    asking: bool
    slot: int
    address: Address


def slot_of(name: str | bytes) -> int:
    """Return a key's slot: that of what stands in its first braces, or of all of it where nothing does."""
    data = name.encode() if isinstance(name, str) else name
    begin = data.find(b"{")
    if begin >= 0 and (end := data.find(b"}", begin + 1)) > begin + 1:
        data = data[begin + 1 : end]
    return crc_hqx(data, 0) % SLOTS


def redirected(told: str, by: Address) -> Redirect | None:
    """Read ``MOVED <slot> <host>:<port>`` and ``ASK ...``; without a host it is that of the server that told so."""
    word, _, rest = told.partition(" ")
    if word not in ("MOVED", "ASK"):
        return None
    slot, _, place = rest.partition(" ")
    host, _, port = place.strip().rpartition(":")
    return Redirect(word == "ASK", int(slot), (host or by[0], int(port)))


@dataclass
class SlotMap:
    """Who holds each slot, as far as is known."""

    owners: list[Address | None] = field(default_factory=lambda: [None] * SLOTS)

    @classmethod
    def told(cls, ranges: Sequence[Any], by: Address) -> SlotMap:
        """Read the reply of CLUSTER SLOTS: first and last slot, then the primary, then its replicas."""
        found = cls()
        for first, last, (host, port, *_), *_ in ranges:
            name = host.decode() if host else by[0]
            found.owners[first : last + 1] = [(name, int(port))] * (last + 1 - first)
        return found

    def addresses(self) -> list[Address]:
        """Return every primary once, in the order of slots."""
        return list(dict.fromkeys(owner for owner in self.owners if owner is not None))
