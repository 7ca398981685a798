"""Writes by Redis functions that an administrator loads, on a server shared by tenants.

Whoever may run scripts of their own can hold the server for everybody, and has been able to break out of Lua more than
once; SCAN shows the keys of all. So a tenant may do neither: it calls these, and finds its keys in lists of its own.

Each write keeps two lists: ``<prefix>:`` is the set of views, and ``<prefix>:<view>`` has the view's keys, sorted by
when they end (ms; +inf: never), so that what has ended is struck off by the next write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow
from loopline.resources.redis import newest_wins
from loopline.resources.redis.newest_wins import KEEP_NEWEST, REPLACE, Command, Replacement

_LIBRARY: Final = """
local function keep_newest(KEYS, ARGV)
{keep_newest}
end
local function replace(KEYS, ARGV)
{replace}
end
local function listed(write)
  return function(keys, args)
    local list, views, view = table.remove(keys), table.remove(keys), table.remove(args)
    local changed = write(keys, args)
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    for _, key in ipairs(keys) do
      local left = redis.call('PTTL', key)
      if left == -2 then
        redis.call('ZREM', list, key)
      elseif left == -1 then
        redis.call('ZADD', list, '+inf', key)
      else
        redis.call('ZADD', list, string.format('%.0f', now + left), key)
      end
    end
    redis.call('ZREMRANGEBYSCORE', list, '-inf', string.format('(%.0f', now))
    redis.call('SADD', views, view)
    return changed
  end
end
local function forget(keys, args)
  local list, views = table.remove(keys), table.remove(keys)
  for _, key in ipairs(keys) do
    redis.call('UNLINK', key)
    redis.call('ZREM', list, key)
  end
  if redis.call('EXISTS', list) == 0 then
    redis.call('SREM', views, args[1])
  end
  return #keys
end
"""
_BODY: Final = _LIBRARY.replace("{keep_newest}", KEEP_NEWEST).replace("{replace}", REPLACE)
_VERSION: Final = hashlib.sha256(_BODY.encode()).hexdigest()[:12]
KEEP_FUNCTION: Final = f"loopline_keep_{_VERSION}"
REPLACE_FUNCTION: Final = f"loopline_replace_{_VERSION}"
FORGET_FUNCTION: Final = f"loopline_forget_{_VERSION}"
"""Named by what the library says, so that another version of it stands beside this one until nobody calls it."""
LIBRARY: Final = (
    f"#!lua name=loopline_{_VERSION}\n{_BODY}"
    f"redis.register_function('{KEEP_FUNCTION}', listed(keep_newest))\n"
    f"redis.register_function('{REPLACE_FUNCTION}', listed(replace))\n"
    f"redis.register_function('{FORGET_FUNCTION}', forget)\n"
)
CALLED: Final = (
    *("getrange", "set", "del", "unlink", "exists", "pttl", "time"),
    *("zadd", "zrem", "zremrangebyscore", "sadd", "srem"),
)
"""The commands that the functions run, which whoever calls them must be allowed."""
FORGOTTEN_AT_ONCE = 1000


class Place(NamedTuple):
    """A view below a prefix, and the lists that tell of it."""

    prefix: str
    view: str

    @property
    def head(self) -> str:
        """Begin a row's key."""
        return f"{self.prefix}{self.view}:"

    @property
    def views(self) -> str:
        """Name the set of views."""
        return f"{self.prefix}:"

    @property
    def keys(self) -> str:
        """Name the list of the view's keys."""
        return f"{self.prefix}:{self.view}"


def write(connection: Any, place: Place, rows: Mapping[Key, OnlineRow], keep: Keep | None) -> int:
    """Write rows, a batch of keys a call; returns how many keys now hold one of them."""
    asked = newest_wins.batches(place.head, rows, keep)
    return newest_wins.run(connection, ("FCALL", KEEP_FUNCTION), _listed(place, asked))[0]


def replace(connection: Any, place: Place, replacements: Iterable[Replacement], keep: Keep | None) -> int:
    """Put rows in place of what is void; returns how many keys changed."""
    asked = newest_wins.replacing_batches(place.head, replacements, keep)
    return newest_wins.run(connection, ("FCALL", REPLACE_FUNCTION), _listed(place, asked))[0]


def drop(connection: Any, place: Place) -> None:
    """Forget a view by the list of its keys; what is written meanwhile is on the list, and goes as well."""
    while keys := _ask(connection, "ZRANGE", place.keys, 0, FORGOTTEN_AT_ONCE - 1):
        called = (len(keys) + 2, *keys, place.views, place.keys, place.view)
        _ask(connection, "FCALL", FORGET_FUNCTION, *called)


def drop_all(connection: Any, prefix: str) -> None:
    """Forget every view below a prefix."""
    for view in _ask(connection, "SMEMBERS", Place(prefix, "").views):
        drop(connection, Place(prefix, view.decode()))


def _listed(place: Place, asked: Iterable[Command]) -> Iterator[Command]:
    """Yield a batch's arguments with the lists' names behind the keys, and the view's at the end."""
    for count, *rest in asked:
        keys = int(count)
        yield (keys + 2, *rest[:keys], place.views, place.keys, *rest[keys:], place.view)


def _ask(connection: Any, *command: str | bytes | int) -> Any:
    connection.send_packed_command(newest_wins.packed(command))
    return connection.read_response()
