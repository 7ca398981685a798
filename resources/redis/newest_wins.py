"""Conditional writes to Redis: a server-side script keeps the newest event of each key."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import hiredis

from loopline.platform_core.contracts.online_packing import TIME_BYTES, pack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow

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
REPLACE = """
local changed = 0
local expire = #ARGV > 2 * #KEYS
for i, key in ipairs(KEYS) do
  local new, bound, old = ARGV[i], ARGV[#KEYS + i], redis.call('GETRANGE', key, 0, 7)
  local goes = #old < 8
  if not goes then
    local high, low = struct.unpack('>I4I4', bound)
    local old_high, old_low = struct.unpack('>I4I4', old)
    goes = high > old_high or (high == old_high and low >= old_low)
  end
  if goes and #new > 0 then
    changed = changed + 1
    if expire then
      redis.call('SET', key, new, 'PX', ARGV[2 * #KEYS + i])
    else
      redis.call('SET', key, new)
    end
  elseif goes then
    changed = changed + redis.call('DEL', key)
  end
end
return changed
"""
SHA = hashlib.sha1(KEEP_NEWEST.encode()).hexdigest()  # noqa: S324 - Redis names scripts so


REPLACE_SHA = hashlib.sha1(REPLACE.encode()).hexdigest()  # noqa: S324
Replacement = tuple[Key, "OnlineRow | None", int]
"""A key, its row if it has one, and up to which event (µs) a stored row is replaced, or goes."""


def write(connection: Any, head: str, rows: Mapping[Key, OnlineRow], keep: Keep | None) -> int:
    """Write rows under ``<head><key>``, a batch of keys a call; returns how many keys now hold one of them."""
    held, refused = run(connection, ("EVALSHA", SHA), batches(head, rows, keep))
    # a server that was started anew, or flushed, has forgotten the script
    return held + run(connection, ("EVAL", KEEP_NEWEST), refused)[0]


def replace(connection: Any, head: str, replacements: Iterable[Replacement], keep: Keep | None) -> int:
    """Put rows under ``<head><key>`` in place of what is void; returns how many keys changed."""
    changed, refused = run(connection, ("EVALSHA", REPLACE_SHA), replacing_batches(head, replacements, keep))
    return changed + run(connection, ("EVAL", REPLACE), refused)[0]


def packed(command: Command) -> list[bytes]:
    """Write a command as it goes over the wire."""
    return [hiredis.pack_command(tuple(command))]


def batches(
    head: str, rows: Mapping[Key, OnlineRow], keep: Keep | None, tail: str = "", at_once: int = BATCH_KEYS
) -> Iterator[Command]:
    """Yield the script's arguments: how many keys, the keys, their values, and with ``keep`` their milliseconds."""
    oldest_us = None if keep is None else keep.oldest_us
    ordered = ((key, row) for key, row in rows.items() if oldest_us is None or row.event_time_us >= oldest_us)
    while batch := list(islice(ordered, at_once)):
        expiry = () if oldest_us is None else [(row.event_time_us - oldest_us) // 1000 + 1 for _, row in batch]
        yield (len(batch), *(head + key + tail for key, _ in batch), *(pack(row) for _, row in batch), *expiry)


def replacing_batches(
    head: str, replacements: Iterable[Replacement], keep: Keep | None, tail: str = "", at_once: int = BATCH_KEYS
) -> Iterator[Command]:
    """Yield the script's arguments: how many keys, the keys, values ("" for none), bounds, and their milliseconds."""
    oldest_us, left = None if keep is None else keep.oldest_us, iter(replacements)
    while batch := list(islice(left, at_once)):
        rows = [row for _, row, _ in batch]
        values = [b"" if row is None else pack(row) for row in rows]
        bounds = [pack(OnlineRow(until, ()))[:TIME_BYTES] for _, _, until in batch]
        expiry = (
            () if oldest_us is None else [(row.event_time_us - oldest_us) // 1000 + 1 if row else 1 for row in rows]
        )
        yield (len(batch), *(head + key + tail for key, _, _ in batch), *values, *bounds, *expiry)


def run(connection: Any, script: Command, asked: Iterable[Command]) -> tuple[int, list[Command]]:
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

    for batch in asked:
        connection.send_packed_command(packed((*script, *batch)))
        underway.append(batch)
        if len(underway) == BATCHES_UNDERWAY:
            answer()
    while underway:
        answer()
    return held, refused
