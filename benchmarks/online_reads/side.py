"""One side in a process of its own: ``python -m benchmarks.online_reads.side NAME FOLDER URL TIMES``.

Writes every row of every view, then reads all three views of random entities, one and a hundred at a time; prints a
JSON object of figures. A side in another environment prints the same figures (see ``figures``).
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.online_reads import data

Keys = Sequence[str]
Read = Callable[[Keys], object]
MANY = 100


def raw(folder: Path, url: str, times: int) -> dict[str, float]:
    """Let redis-py write and read the very bytes that our store does: SET in pipelines of a thousand, MGET."""
    import redis

    from loopline.platform_core.contracts.online_packing import pack
    from loopline.platform_core.contracts.online_store import newest

    client = redis.Redis.from_url(url)
    client.ping()
    packed = [
        (f"raw:{shape.view}:{key}", pack(row))
        for shape in data.SHAPES
        for key, row in newest(data.ENTITY, data.rows(folder, shape)).items()
    ]

    def write() -> int:
        pipeline = client.pipeline(transaction=False)
        for at in range(0, len(packed), 1000):
            for name, value in packed[at : at + 1000]:
                pipeline.set(name, value)
            pipeline.execute()
        return len(packed)

    def read(keys: Keys) -> object:
        return client.mget([f"raw:{shape.view}:{key}" for shape in data.SHAPES for key in keys])

    return figures(write, read, len(packed) // len(data.SHAPES), times)


def redis_store(folder: Path, url: str, times: int) -> dict[str, float]:
    """Let our store on Redis write and read."""
    from loopline.resources.redis.online_store import RedisOnlineStore

    return _store(RedisOnlineStore(url=url), folder, times)


def by_name(folder: Path, url: str, times: int) -> dict[str, float]:
    """Let an application read features of three views by name."""
    return _named(folder, url, times, data.SHAPES)


def by_name_in_one(folder: Path, url: str, times: int) -> dict[str, float]:
    """Let an application read the same features of a single view by name."""
    return _named(folder, url, times, (data.EVERYTHING,))


def _named(folder: Path, url: str, times: int, shapes: Sequence[data.Shape]) -> dict[str, float]:
    from benchmarks.online_reads.by_name import read_by, written_by
    from loopline.resources.redis.online_store import RedisOnlineStore

    store = RedisOnlineStore(url=url)
    found = figures(written_by(store, folder, shapes), read_by(store, shapes), _entities(folder), times)
    store.close()
    return found


def sqlite_store(folder: Path, url: str, times: int) -> dict[str, float]:  # noqa: ARG001 - one signature for all
    """Let our store on SQLite write and read."""
    from loopline.resources.sqlite.online_store import SqliteOnlineStore

    return _store(SqliteOnlineStore(path=str(folder / f"online-{random.random()}.db")), folder, times)


def fetching(folder: Path, url: str, times: int) -> dict[str, float]:
    """Let our store on Redis be asked from uvloop, as the inference server asks it: one request after another."""
    import uvloop

    from loopline.resources.redis.online_store import RedisOnlineStore

    store, loop = RedisOnlineStore(url=url), uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    write = _writing(store, folder)
    with _closing(store, loop):
        return figures(write, lambda keys: loop.run_until_complete(store.fetch(_asks(keys))), _entities(folder), times)


def fetching_at_once(folder: Path, url: str, times: int) -> dict[str, float]:
    """Let fifty requests of one entity be under way at any time; the figures are one request's share."""
    import uvloop

    from loopline.resources.redis.online_store import RedisOnlineStore

    store, loop, together = RedisOnlineStore(url=url), uvloop.new_event_loop(), 50

    async def at_once(keys: Keys) -> None:
        await asyncio.gather(*(store.fetch(_asks(keys)) for _ in range(together)))

    write = _writing(store, folder)
    with _closing(store, loop):
        found = figures(write, lambda keys: loop.run_until_complete(at_once(keys)), _entities(folder), times // 10)
    return {name: value if name == "keys_s" else value / together for name, value in found.items()}


SIDES = {
    "raw": raw,
    "redis": redis_store,
    "by_name": by_name,
    "by_name_in_one": by_name_in_one,
    "fetch": fetching,
    "fetch_at_once": fetching_at_once,
    "sqlite": sqlite_store,
}


def figures(write: Callable[[], int], read: Read, entities: int, times: int) -> dict[str, float]:
    """Measure: keys written a second, and µs of a read of one entity and of a hundred, median and 99th percentile."""
    began = perf_counter()
    keys_s = write() / (perf_counter() - began)
    drawn = random.Random(0)
    found = {"keys_s": keys_s}
    for name, size, calls in (("one", 1, times), ("many", MANY, times // 4)):
        asked = [[str(key) for key in drawn.sample(range(entities), size)] for _ in range(calls + 20)]
        taken = sorted(_timed(read, asked)[20:])
        found |= {f"{name}_us": taken[len(taken) // 2], f"{name}_p99_us": taken[int(len(taken) * 0.99)]}
    return found


def _timed(read: Read, asked: Sequence[Keys]) -> list[float]:
    gc.collect()
    taken = []
    for keys in asked:
        began = perf_counter()
        read(keys)
        taken.append((perf_counter() - began) * 1e6)
    return taken


def _store(store: Any, folder: Path, times: int) -> dict[str, float]:
    found = figures(_writing(store, folder), lambda keys: store.read(_asks(keys)), _entities(folder), times)
    store.close()
    return found


def _writing(store: Any, folder: Path) -> Callable[[], int]:
    views = [(shape.view, data.rows(folder, shape)) for shape in data.SHAPES]
    store.read(_asks(["0"]))  # connected, and what it needs imported, before the watch starts
    return lambda: sum(store.write(view, data.ENTITY, rows) for view, rows in views)


def _asks(keys: Keys) -> list[tuple[str, Keys]]:
    return [(shape.view, keys) for shape in data.SHAPES]


def _entities(folder: Path) -> int:
    return len(data.rows(folder, data.SHAPES[0]))


@contextmanager
def _closing(store: Any, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    yield
    store.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def main() -> None:
    """Measure the side named."""
    name, folder, url, times = sys.argv[1:]
    print(json.dumps(SIDES[name](Path(folder), url, int(times))))


if __name__ == "__main__":
    main()
