"""Online reads and writes: our stores beside redis-py on the same server and the same bytes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.online_reads import data
from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.turns import in_turns, json_lines, medians
from loopline.platform_core.testing.parts.ports import free_port

HOW = """Three views of one entity, ten features together, {entities:,} entities. A read asks for all ten features of
one entity or of a hundred random ones, one read after another; a write is every row of the three views. redis-py by
hand reads and writes the very bytes that our store does, with one MGET a read and SET in pipelines of a thousand, and
decodes nothing. `fetch` is what the inference server awaits on its event loop; with fifty requests at once the figure
is a request's share. By name is what an application calls (`read_online`): values with states and event times, too old
ones left out; it stands beside Feast 0.67's `get_online_features(...).to_dict()`, in Feast's own environment with its
Redis store; both once with the three views and once, as Feast's guide to performance recommends, with all features in
one view. Feast's write is `materialize` from Parquet. Each side runs in a process of its own against one Redis server
on this machine."""
HEADER = ("side", "1 entity", "p99", "100 entities", "p99", "keys written / s", "read of 100 / by hand")
HAND = "redis-py by hand"
NAMED = ("ours on Redis, by name", "ours on Redis, by name, all in one view")
FEASTS = ("Feast, by name", "Feast, by name, all in one view")
SIDES = {
    HAND: "raw",
    "ours on Redis": "redis",
    NAMED[0]: "by_name",
    NAMED[1]: "by_name_in_one",
    "ours on Redis, `fetch`": "fetch",
    "ours on Redis, `fetch`, 50 at once": "fetch_at_once",
    "ours on SQLite": "sqlite",
}
"""Sides that run in this environment."""
FEAST = dict(zip(FEASTS, ("views", "one"), strict=True))
"""Sides that run in Feast's."""
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure each side, in turns."""
    entities, times = (2000, 1) if quick else (50_000, 3)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name, redis_server(Path(name)) as url:
        data.write(Path(name), entities)
        taken = in_turns(_calls(Path(name), url, 200 if quick else 4000), times)
        taken |= in_turns(_feasts(Path(name), url, 200 if quick else 1000), 1)
    found = {side: medians(runs) for side, runs in taken.items()}
    rows = [_row(side, found[side], found[HAND]) for side in found]
    return Section("Online reads and writes", HOW.format(entities=entities), HEADER, rows, _promises(found))


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis server that keeps nothing on disk; gives its URL."""
    port, program = free_port(), shutil.which("redis-server")
    if program is None:
        raise RuntimeError("redis-server is missing: install it, for example 'apt-get install redis-server'")
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    server = subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()


def _calls(folder: Path, url: str, times: int) -> dict[str, Callable[[], Figures]]:
    def call(side: str) -> Callable[[], Figures]:
        return lambda: json_lines("benchmarks.online_reads.side", side, folder, url, times)[0]

    return {name: call(side) for name, side in SIDES.items()}


def _feasts(folder: Path, url: str, times: int) -> dict[str, Callable[[], Figures]]:
    address, python = url.removeprefix("redis://").split("/")[0], interpreter("feast")

    def call(layout: str) -> Callable[[], Figures]:
        return lambda: json_lines("benchmarks.online_reads.feast_side", layout, folder, address, times, python=python)[
            0
        ]

    return {name: call(layout) for name, layout in FEAST.items()}


def _promises(found: Mapping[str, Figures]) -> list[Promise]:
    hand, ours = found[HAND], found["ours on Redis"]
    beside = [100 * found[our]["many_us"] / found[their]["many_us"] for our, their in zip(NAMED, FEASTS, strict=True)]
    return [
        Promise("read of 1 entity, beside redis-py by hand", ours["one_us"] / hand["one_us"], 1.5, "x"),
        Promise("read of 100 entities, beside redis-py by hand", ours["many_us"] / hand["many_us"], 1.5, "x"),
        Promise("read of 100 entities by name, of Feast's time", beside[0], 6.67, " %"),
        Promise("the same, all features in one view", beside[1], 6.67, " %"),
        Promise("time of a write, beside redis-py's pipeline", hand["keys_s"] / ours["keys_s"], 2, "x"),
    ]


def _row(side: str, found: Figures, hand: Figures) -> list[str]:
    times = [f"{found[name]:.0f} µs" for name in ("one_us", "one_p99_us", "many_us", "many_p99_us")]
    return [side, *times, f"{found['keys_s']:,.0f}", f"{found['many_us'] / hand['many_us']:.2f}x"]
