"""Item layout in DynamoDB: keys, event time, packed values, expiry.

=========  ======  ==========================================================================================
attribute  type    what
=========  ======  ==========================================================================================
``v``      S       partition key: prefix and view, ``#``, and one of 64 parts by the key's CRC-32, as two hex digits
``k``      S       sort key: ``=`` and the entity's key, which may be empty
``t``      N       event time, µs since 1970
``p``      B       the values, packed as in ``contracts/online_packing.py``
``g``      N       from when on it is gone: ms since 1970 by the writer's clock; without it it stays
``x``      N       the same in whole seconds, for the service's own time to live, which deletes days later
=========  ======  ==========================================================================================
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any

from loopline.platform_core.contracts.online_packing import pack_values, unpack_values
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow
from loopline.platform_core.errors import ContractBroken

PARTS = 64
"""Partition keys of a view: the service answers 3000 reads and 1000 writes a second for each."""
MOST_KEY_BYTES = 1023
"""A sort key has 1024 bytes, of which ours takes one."""
MOST_VIEW_BYTES = 2045
MOST_ITEM_BYTES = 400 * 1024
_OVERHEAD_BYTES = 64
"""Names of the attributes, and numbers, at most."""
Place = tuple[str, str]
"""Partition and sort key."""
Item = dict[str, Any]


class Places:
    """Where the rows of a view lie."""

    def __init__(self, prefix: str, view: str) -> None:
        self._view, head = view, prefix + view
        self.parts = [f"{head}#{part:02x}" for part in range(PARTS)]
        self._bytes = len(self.parts[0].encode())

    def of(self, key: Key) -> Place | None:
        """Return where a key's row lies; None if the table can have none."""
        try:
            encoded = key.encode()
        except UnicodeEncodeError:
            return None
        if len(encoded) > MOST_KEY_BYTES:
            return None
        return self.parts[zlib.crc32(encoded) % PARTS], "=" + key

    def checked(self, key: Key, packed: bytes = b"") -> Place:
        """Return where a key's row is to lie.

        Raises:
            ContractBroken: the service does not take such a key, or so long a row.
        """
        place = self.of(key)
        if place is None:
            size = len(key.encode("utf-8", "replace"))
            problem = f"key {key[:40]!r}… of {self._view!r} has {size} bytes, and DynamoDB takes {MOST_KEY_BYTES}"
            raise ContractBroken(problem, "give entities shorter keys, for example their hash")
        if self._bytes > MOST_VIEW_BYTES:
            problem = f"{self._view[:40]!r}… with its prefix is longer than {MOST_VIEW_BYTES} bytes"
            raise ContractBroken(problem, "name the view more briefly")
        size = self._bytes + len(place[1].encode()) + len(packed) + _OVERHEAD_BYTES
        if size > MOST_ITEM_BYTES:
            problem = (
                f"the row of {key[:40]!r} of {self._view!r} has {size} bytes, and DynamoDB takes {MOST_ITEM_BYTES}"
            )
            raise ContractBroken(problem, "leave long texts and vectors out of the view, or split it")
        return place


def key_of(place: Place) -> Item:
    """Return a key as the service is asked for it."""
    return {"v": {"S": place[0]}, "k": {"S": place[1]}}


def place_of(item: Item) -> Place:
    """Return where an item lies."""
    return item["v"]["S"], item["k"]["S"]


def item_of(place: Place, event_time_us: int, packed: bytes, gone_ms: int | None) -> Item:
    """Make the item of a row."""
    item = key_of(place) | {"t": number(event_time_us), "p": {"B": packed}}
    if gone_ms is not None:
        item |= {"g": number(gone_ms), "x": number(gone_ms // 1000 + 1)}
    return item


def rows_of(items: list[Item]) -> dict[Place, OnlineRow]:
    """Read items; those that are gone are left out, whether or not the service has deleted them.

    Raises:
        ContractBroken: an item is no row.
    """
    now = now_ms()
    try:
        return {
            (item["v"]["S"], item["k"]["S"]): OnlineRow(int(item["t"]["N"]), unpack_values(item["p"]["B"]))
            for item in items
            if "g" not in item or int(item["g"]["N"]) > now
        }
    except (KeyError, ValueError) as error:
        raise ContractBroken(
            f"an item of the online table is no row: {error!r}",
            "drop the view online and refill it; nothing else may write into this table",
        ) from error


class Lifetime:
    """When rows of one write are gone: the time that their view gives them, from now on by this machine's clock."""

    def __init__(self, keep: Keep | None) -> None:
        self._oldest_us = None if keep is None else keep.oldest_us
        self._begun_ms = now_ms()

    def is_over(self, row: OnlineRow) -> bool:
        """Say whether a row is too old already."""
        return self._oldest_us is not None and row.event_time_us < self._oldest_us

    def gone_ms(self, event_time_us: int) -> int | None:
        """Return when a row of that event is gone; None for never."""
        if self._oldest_us is None:
            return None
        return self._begun_ms + (event_time_us - self._oldest_us) // 1000 + 1


def packed_rows(places: Places, rows: Mapping[Key, OnlineRow]) -> list[tuple[Place, int, bytes]]:
    """Return place, event time and packed values of each row.

    Raises:
        ContractBroken: one of them has no place in the table; nothing is written then.
    """
    packed = ((key, row.event_time_us, pack_values(row.values)) for key, row in rows.items())
    return [(places.checked(key, values), time_us, values) for key, time_us, values in packed]


def number(value: int) -> Item:
    """Write a number as the service wants it."""
    return {"N": str(value)}


def now_ms() -> int:
    """Return this machine's time."""
    return time.time_ns() // 1_000_000
