"""What an API key costs a request: open servers beside servers that ask for keys, count, and keep an access log."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.page import Promise, Section
from benchmarks.serving import data, ours
from benchmarks.serving.compare import bodies
from benchmarks.serving.load import Cell, Server, loaded, served
from benchmarks.serving.sides import SIDES, TENSOR
from benchmarks.turns import in_turns
from loopline.gateway import api_keys
from loopline.gateway.api_keys import Tenant
from loopline.platform_core.testing.parts.ports import free_port

HOW = """One row of the LightGBM model of "Serving" in one tensor, each way a server process of its own with the same
packages: open; behind a gateway with API keys; for a tenant whose requests are counted too; with an access log. wrk
asks each in turns for {seconds} s, A B C D, D C B A and so on, after a warm-up that is not counted, so that what else
the machine does hits all. CPU is user and system time of the server's process, a request; figures are medians, and
"beside open" the median of each round's own ratio. The machine's load at the beginning was {load:.1f}."""
HEADER = ("connections", "request", "CPU a request", "beside open", "p50", "beside open", "requests / s")
OPEN, KEY, COUNTED, LOGGED = "open", "with a key", "with a key, counted", "with a key, access log"
CONNECTIONS, MOST = (16, 1), 1.15


class _Way(NamedTuple):
    """The gateway of a server, and whose key asks."""

    gateway: str
    tenant: str


WAYS = {
    OPEN: _Way("", ""),
    KEY: _Way('{{keys: "{folder}/keys.json"}}', "free"),
    COUNTED: _Way('{{keys: "{folder}/keys.json"}}', "counted"),
    LOGGED: _Way('{{keys: "{folder}/keys.json", access_log: "{folder}/access.jsonl"}}', "free"),
}


def compare(quick: bool = False) -> Section:
    """Measure each way in turns."""
    rounds, seconds, load = (3, 1, os.getloadavg()[0]) if quick else (11, 2, os.getloadavg()[0])
    with TemporaryDirectory(prefix="loopline-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        ours.write(folder, data.write(folder))
        keys = _keys(folder / "keys.json")
        servers = {way: stack.enter_context(_server(folder, one)) for way, one in WAYS.items()}
        found = {}
        for connections in CONNECTIONS:
            asks = {
                way: _asking(folder, servers[way], keys.get(one.tenant, ""), connections, seconds)
                for way, one in WAYS.items()
            }
            found[connections] = in_turns(asks, rounds)
    rows = [_row(connections, way, cells) for connections, cells in found.items() for way in WAYS]
    promises = [
        Promise(f"{what} with a key / without, {connections} connections", _beside(cells, KEY, measure), MOST)
        for connections, cells in found.items()
        for what, measure in (("CPU", _cpu), ("p50", _p50))
    ]
    return Section("Requests with an API key", HOW.format(seconds=seconds, load=load), HEADER, rows, promises)


def _keys(file: Path) -> dict[str, str]:
    """Make the keys; the limit is one that nobody meets."""
    limited = Tenant(("*",), per_second=1e6, per_day=10**12)
    return {"free": api_keys.create(file, "free", Tenant(("*",))), "counted": api_keys.create(file, "counted", limited)}


def _server(folder: Path, way: _Way) -> AbstractContextManager[Server]:
    port = free_port()
    file = ours.environment(folder, port, way.gateway.format(folder=folder))
    command = [sys.executable, "-m", "loopline.inference_server", "--environment", str(file)]
    return served(command, port, "/v2/health/ready", None, {"BENCH_LOGS": str(folder)})


def _asking(folder: Path, server: Server, key: str, connections: int, seconds: int) -> Callable[[], Cell]:
    path = SIDES[TENSOR].path(data.BOOSTED)
    return lambda: loaded(server, [path], bodies(TENSOR, folder, 1), connections, seconds, key)


def _row(connections: int, way: str, cells: dict[str, list[Cell]]) -> list[str]:
    own = cells[way]
    cpu, p50, rps = (statistics.median(map(of, own)) for of in (_cpu, _p50, lambda cell: cell.rps))
    beside = [f"{_beside(cells, way, of):.2f}x" for of in (_cpu, _p50)]
    return [str(connections), way, f"{cpu:.1f} µs", beside[0], f"{p50:.3f} ms", beside[1], f"{rps:,.0f}"]


def _beside(cells: dict[str, list[Cell]], way: str, of: Callable[[Cell], float]) -> float:
    return statistics.median(of(own) / of(plain) for own, plain in zip(cells[way], cells[OPEN], strict=True))


def _cpu(cell: Cell) -> float:
    return cell.cpu_us


def _p50(cell: Cell) -> float:
    return cell.p50_ms
