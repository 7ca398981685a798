"""Conditional writes to a Redis Cluster: a script runs on the server that holds each key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

from redis.exceptions import NoScriptError

from loopline.resources.redis.newest_wins import KEEP_NEWEST, REPLACE, REPLACE_SHA, SHA, Command
from loopline.resources.redis_cluster.client import Aimed, Client, checked

AT_ONCE = 2000
"""Commands of one go; while one is underway the next is made."""
Script = tuple[str, str]
"""A script's hash and its text."""
KEEPING, REPLACING = (SHA, KEEP_NEWEST), (REPLACE_SHA, REPLACE)


async def carry_out(client: Client, script: Script, commands: Iterator[Command]) -> int:
    """Run a script on arguments of one key each, thousands at once; returns how many keys changed.

    Raises:
        StoreUnavailable: a server refused a key, or is away; some keys may be changed.
    """

    async def drain() -> int:
        changed = 0
        while batch := list(islice(commands, AT_ONCE)):
            changed += await _changed(client, script, batch)
        return changed

    both = [asyncio.ensure_future(drain()) for _ in range(2)]
    try:
        return sum(await asyncio.gather(*both))
    finally:
        for one in both:
            one.cancel()


async def forget(client: Client, match: str) -> None:
    """Delete every key that matches; gone over again until there is none, since slots may move meanwhile."""
    while keys := await client.keys(match):
        for begin in range(0, len(keys), AT_ONCE):
            for reply in await client.run([(key, ("UNLINK", key)) for key in keys[begin : begin + AT_ONCE]]):
                checked(reply)


async def _changed(client: Client, script: Script, batch: Sequence[Command]) -> int:
    hashed, text = script
    replies = await client.run(_aimed("EVALSHA", hashed, batch))
    # a server that was started anew, or flushed, has forgotten the script
    lost = [command for command, reply in zip(batch, replies, strict=True) if isinstance(reply, NoScriptError)]
    counted = [reply for reply in replies if not isinstance(reply, NoScriptError)]
    again = await client.run(_aimed("EVAL", text, lost))
    return sum(int(checked(reply)) for reply in (*counted, *again))


def _aimed(verb: str, script: str, batch: Sequence[Command]) -> list[Aimed]:
    return [(str(command[1]), (verb, script, *command)) for command in batch]
