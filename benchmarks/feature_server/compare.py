"""Our feature service over HTTP: one connection kept open, one request after another."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.online_reads import data
from benchmarks.online_reads.compare import redis_server
from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.turns import ROOT, in_turns, medians
from loopline.platform_core.testing.parts.ports import free_port

HOW = """Ten features of {entities:,} entities in three views on one Redis server, asked over HTTP with one connection
that stays open, one request after another; each time from sending to the last byte of the answer, which is not decoded.
Each service runs as a process of its own with one worker; Feast 0.67's feature server in its own environment, with its
Redis store on the same server and no log of accesses."""
HEADER = ("side", "1 entity x 10", "p99", "100 entities x 10", "p99")
OURS, FEAST = "ours", "Feast: `feast serve`"
PACKAGE = "benchmarks.feature_server"
FEATURES = [f"{shape.view}:{name}" for shape in data.SHAPES for name in shape.features]
MANY = 100
START_SECONDS = 240.0


class Side(NamedTuple):
    """A server: what starts it (given folder, Redis URL and port), and how it is asked."""

    command: Callable[[Path, str, int], Sequence[str]]
    path: str
    body: Callable[[Sequence[int]], Mapping[str, object]]


SIDES: dict[str, Side] = {
    OURS: Side(
        lambda folder, url, port: [sys.executable, "-m", f"{PACKAGE}.ours", str(folder), url, str(port)],
        "/features/online",
        lambda keys: {"team": "bench", "model": "bench", "entities": {data.ENTITY: list(keys)}},
    ),
    FEAST: Side(
        lambda folder, url, port: [interpreter("feast"), "-m", f"{PACKAGE}.feast_side", str(folder), url, str(port)],
        "/get-online-features",
        lambda keys: {"features": FEATURES, "entities": {data.ENTITY: list(keys)}},
    ),
}


def compare(quick: bool = False) -> Section:
    """Measure each side, in turns."""
    entities, calls, times = (2000, 200, 1) if quick else (10_000, 2000, 2)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name, redis_server(Path(name)) as url:
        data.write(Path(name), entities)
        sides = {
            name_of: lambda side=side: _measured(side, Path(name), url, (entities, calls))
            for name_of, side in SIDES.items()
        }
        found = {side: medians(taken) for side, taken in in_turns(sides, times).items()}
    rows = [_row(side, figures) for side, figures in found.items()]
    promises = [
        Promise("1 entity x 10 features over HTTP, median", found[OURS]["one_ms"], 0.5, " ms"),
        Promise("100 entities, of Feast's time", 100 * found[OURS]["many_ms"] / found[FEAST]["many_ms"], 25, " %"),
    ]
    return Section("Features over HTTP", HOW.format(entities=entities), HEADER, rows, promises)


def _measured(side: Side, folder: Path, url: str, size: tuple[int, int]) -> dict[str, float]:
    """Start a server and ask it; milliseconds, median and 99th percentile."""
    entities, calls = size
    drawn, found = random.Random(0), dict[str, float]()
    with _served(side, folder, url) as connection:
        for name, keys, times in (("one", 1, calls), ("many", MANY, calls // 4)):
            bodies = [json.dumps(side.body(drawn.sample(range(entities), keys))) for _ in range(times + 50)]
            taken = sorted(_milliseconds(connection, side.path, bodies)[50:])
            found |= {f"{name}_ms": taken[len(taken) // 2], f"{name}_p99_ms": taken[int(len(taken) * 0.99)]}
    return found


def _milliseconds(connection: HTTPConnection, path: str, bodies: Sequence[str]) -> list[float]:
    taken = []
    for body in bodies:
        began = perf_counter()
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        told = answer.read()
        taken.append((perf_counter() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {told[:500]!r}")
    return taken


@contextmanager
def _served(side: Side, folder: Path, url: str) -> Iterator[HTTPConnection]:
    port, log = free_port(), folder / "server.log"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with log.open("wb") as out:
        server = subprocess.Popen(side.command(folder, url, port), cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        yield _connected(port, server, log)
    finally:
        server.terminate()
        server.wait(30)


def _connected(port: int, server: subprocess.Popen[bytes], log: Path) -> HTTPConnection:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.connect()
        except OSError:
            time.sleep(0.1)
        else:
            return connection
    raise RuntimeError(f"the server does not listen on port {port} ({server.poll()}): {log.read_text()[-2000:]}")


def _row(side: str, found: Mapping[str, float]) -> list[str]:
    return [side, *(f"{found[name]:.2f} ms" for name in ("one_ms", "one_p99_ms", "many_ms", "many_p99_ms"))]
