"""Item layout in Cosmos DB: ids, packed rows, time to live, and the service's limits.

An item a view and entity; its ``id``, which is its partition key too, is ``<view>:<key>``, so that reading is by point
and writing is spread. ``row`` is the row in the encoding of every store, as Base64, since numbers of JSON lose digits;
``until_us`` (µs since 1970) is when it goes, and ``ttl`` (seconds after the write) lets the service delete it.

Source: https://learn.microsoft.com/azure/cosmos-db/concepts-limits.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken
from loopline.resources.nosql.key_encoding import cut, spelled

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key

ID_BYTES = 1023
ITEM_BYTES = 2_000_000
"""Of 2 MB of JSON that an item may have."""
LONGEST_TTL = 2**31 - 1
READ_ITEMS, READ_BYTES = 500, 200_000
"""Items asked in one call, and bytes of their ids: a query has 512 KB at most."""


def item_id(view: str, key: Key) -> str | None:
    """Name a key's item; None where the key is too long for one."""
    name = f"{spelled(view)}:{spelled(key)}"
    return name if len(name) <= ID_BYTES else None


def item_of(view: str, key: Key, packed: bytes, until_us: int | None) -> dict[str, Any]:
    """Make the item of a row.

    Raises:
        ContractBroken: the key or the row is more than an item may hold.
    """
    name = item_id(view, key)
    if name is None:
        fix = f"use keys and views of at most {ID_BYTES - 1} letters and digits together; other bytes count three times"
        raise ContractBroken(f"a key of {view!r} is too long for Cosmos DB: {key[:40]!r}...", fix)
    item: dict[str, Any] = {"id": name, "view": view, "row": base64.b64encode(packed).decode("ascii")}
    if until_us is not None:
        item |= {"until_us": until_us, "ttl": min(max(-(-(until_us - now_us()) // 1_000_000), 1), LONGEST_TTL)}
    if len(item["row"]) + 2 * len(name) + 2 * ID_BYTES > ITEM_BYTES:
        problem = f"a row of {view!r} has {len(packed)} bytes; an item of Cosmos DB has 2 MB at most"
        raise ContractBroken(problem, "give the view fewer or shorter features")
    return item


def packed(item: Mapping[str, Any]) -> bytes:
    """Return the row that an item holds.

    Raises:
        ContractBroken: it holds none.
    """
    try:
        return base64.b64decode(item["row"], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        fix = "drop the view online and refill it; nothing else may write where the online store does"
        raise ContractBroken(f"the item {item.get('id')!r} holds no row: {error!r}", fix) from error


def counts(item: Mapping[str, Any], now: int) -> bool:
    """Say whether an item's time (µs) has not come yet; the service counts in whole seconds."""
    until_us = item.get("until_us")
    return until_us is None or until_us > now


def now_us() -> int:
    """Return this machine's time in µs since 1970."""
    return time.time_ns() // 1000


def parts(names: Sequence[str]) -> list[Sequence[str]]:
    """Cut names into what one call asks for."""
    return cut(names, READ_ITEMS, READ_BYTES)
