"""Online reads and writes: our store on DynamoDB beside boto3 on the same emulator and the same items."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.dynamodb.side import REGION, TABLE
from benchmarks.online_reads import data
from benchmarks.page import Promise, Section
from benchmarks.turns import in_turns, json_lines, medians
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from tests.emulators.aws import IDENTITY, AwsServer

HOW = """One view of ten features, {entities:,} entities, in moto's server on this machine: figures are good for ratios
alone, since the emulator takes most of the time. A read asks for one entity or a hundred random ones, one read after
another; a write is every row, once. boto3 by hand sends the same requests (a consistent BatchGetItem; a PutItem a row
on the condition that no newer event is there, by 16 threads) and decodes nothing. `fetch` is what the inference server
awaits. CPU is that of the asking process alone, which the emulator's slowness does not hide."""
HEADER = ("side", "1 entity", "100 entities", "p99", "keys written / s", "CPU, read of 100", "CPU, key written")
HAND, OURS = "boto3 by hand", "ours on DynamoDB"
SIDES = {HAND: "raw", OURS: "ours", "ours on DynamoDB, `fetch`": "fetch"}
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure each side, in turns."""
    entities, reads, times = (300, 40, 1) if quick else (1500, 400, 5)
    os.environ.update(IDENTITY)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        data.write(folder, entities)
        server = AwsServer(folder)
        server.begin()
        try:
            maker = DynamodbOnlineStore(table=TABLE, region=REGION, endpoint_url=server.url, create=True)
            maker.drop("none")
            maker.close()
            taken = in_turns(_calls(folder, server.url, reads), times)
        finally:
            server.end()
    found = {side: medians(runs) for side, runs in taken.items()}
    rows = [_row(side, figures) for side, figures in found.items()]
    return Section("Online features in DynamoDB", HOW.format(entities=entities), HEADER, rows, _promises(found))


def _calls(folder: Path, url: str, reads: int) -> dict[str, Callable[[], Figures]]:
    def call(side: str) -> Callable[[], Figures]:
        return lambda: json_lines("benchmarks.dynamodb.side", side, folder, url, reads)[0]

    return {name: call(side) for name, side in SIDES.items()}


def _promises(found: Mapping[str, Figures]) -> list[Promise]:
    hand, ours = found[HAND], found[OURS]
    return [
        Promise("read of 100 entities, beside boto3 by hand", ours["many_us"] / hand["many_us"], 1.3, "x"),
        Promise("CPU of that read, beside boto3 by hand", ours["cpu_read_ms"] / hand["cpu_read_ms"], 1.3, "x"),
        Promise("time of a write, beside boto3 by hand", hand["keys_s"] / ours["keys_s"], 1 / 0.7, "x"),
    ]


def _row(side: str, found: Figures) -> list[str]:
    times = [f"{found[name] / 1000:.1f} ms" for name in ("one_us", "many_us", "many_p99_us")]
    cpu = [f"{found[name]:.2f} ms" for name in ("cpu_read_ms", "cpu_write_ms")]
    return [side, *times, f"{found['keys_s']:,.0f}", *cpu]
