"""Conditional writes to a Redis Cluster: a script runs on the server that holds each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import hiredis

from loopline.platform_core.contracts.online_packing import TIME_BYTES, pack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow
from loopline.resources.redis.failure import failure
from loopline.resources.redis.newest_wins import KEEP_NEWEST, REPLACE, REPLACE_SHA, SHA, Command, Replacement
from loopline.resources.redis_cluster.scatter_gather import Aimed, Scattered
from loopline.resources.redis_cluster.slots import Address, slot_of

AT_ONCE = 2000
"""Commands of one go; while one is underway the next is made."""
SCANNED = 1000
Named = Callable[[Key], str]
Script = tuple[str, str]
"""A script's hash and its text."""
KEEPING, REPLACING = (SHA, KEEP_NEWEST), (REPLACE_SHA, REPLACE)


def written(named: Named, rows: Iterable[tuple[Key, OnlineRow]], keep: Keep | None) -> Iterator[Command]:
    """Yield the script's arguments for each row that is not too old: key, value, with ``keep`` milliseconds."""
    oldest_us = None if keep is None else keep.oldest_us
    for key, row in rows:
        if oldest_us is None:
            yield (1, named(key), pack(row))
        elif row.event_time_us >= oldest_us:
            yield (1, named(key), pack(row), _life_ms(row, oldest_us))


def replaced(named: Named, wishes: Iterable[Replacement], keep: Keep | None) -> Iterator[Command]:
    """Yield the script's arguments for each replacement: a key, its value ("" for none), its bound, and as above."""
    oldest_us = None if keep is None else keep.oldest_us
    for key, row, until in wishes:
        value, bound = b"" if row is None else pack(row), pack(OnlineRow(until, ()))[:TIME_BYTES]
        life = () if oldest_us is None else (1 if row is None else _life_ms(row, oldest_us),)
        yield (1, named(key), value, bound, *life)


async def carry_out(cluster: Scattered, script: Script, wishes: Iterator[Command]) -> int:
    """Run a script for each key, thousands at once; returns how many keys changed.

    Raises:
        StoreUnavailable: a server refused a key, or is away; some keys may be changed.
    """

    async def drain() -> int:
        changed = 0
        while batch := list(islice(wishes, AT_ONCE)):
            changed += await _changed(cluster, script, batch)
        return changed

    both = [asyncio.ensure_future(drain()) for _ in range(2)]
    try:
        return sum(await asyncio.gather(*both))
    finally:
        for one in both:
            one.cancel()


async def forget(cluster: Scattered, match: str) -> None:
    """Delete every key that matches; gone over again until there is none, since slots may move meanwhile."""
    found = True
    while found:
        found = False
        for address in (await cluster.topology.known()).addresses():
            found |= await _forget_at(cluster, address, match)


async def _forget_at(cluster: Scattered, address: Address, match: str) -> bool:
    cursor, found = "0", False
    while True:
        scan = ("SCAN", cursor, "MATCH", match, "COUNT", SCANNED)
        cursor_said, keys = _checked(await cluster.ask(address, scan))
        raised(await cluster.run([Aimed(slot_of(key), ("UNLINK", key)) for key in keys]))
        cursor, found = cursor_said.decode(), found or bool(keys)
        if cursor == "0":
            return found


async def _changed(cluster: Scattered, script: Script, batch: Sequence[Command]) -> int:
    hashed, text = script
    replies = await cluster.run(_aimed("EVALSHA", hashed, batch))
    # a server that was started anew, or flushed, has forgotten the script
    lost = [command for command, reply in zip(batch, replies, strict=True) if _has_no_script(reply)]
    counted = [reply for reply in replies if not _has_no_script(reply)]
    again = await cluster.run(_aimed("EVAL", text, lost))
    return sum(map(int, raised([*counted, *again])))


def _aimed(verb: str, script: str, batch: Sequence[Command]) -> list[Aimed]:
    return [Aimed(slot_of(str(command[1])), (verb, script, *command)) for command in batch]


def _has_no_script(reply: object) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")


def raised(replies: Sequence[Any]) -> list[Any]:
    """Return replies if none of them is an error, and raise the first that is."""
    return [_checked(reply) for reply in replies]


def _checked(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise failure(str(reply)) from reply
    return reply


def _life_ms(row: OnlineRow, oldest_us: int) -> int:
    return (row.event_time_us - oldest_us) // 1000 + 1
