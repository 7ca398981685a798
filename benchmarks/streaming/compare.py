"""Events a second with state, exactly once, on a real broker: ours beside Quix Streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.peers.kafka_broker import broker
from benchmarks.streaming import data, ours
from benchmarks.turns import ROOT, in_turns
from loopline.platform_core.contracts.event_stream import Record
from loopline.resources.kafka.event_stream import KafkaEventStream

HOW = """{events:,} payments of {cards:,} cards, on a topic of four partitions of a real broker (KRaft) here, before a
scorer begins. Each payment updates eight windows of its card, of up to a day: counts, a sum, a mean of five, a maximum,
different shops, the time since the one before. Then a LightGBM model of 50 trees is asked, and the answer is published
in a transaction with the group's offsets, of at most {limit:,} events. Ours also checks each record by the source's
contract, and keeps a prediction log. Quix Streams is the same arithmetic written by hand over its state (RocksDB,
changelog topic), with its guarantee `exactly-once`, every {commit} s; it checks no contract, looks after no late event,
and logs nothing. From the first record taken until the last answer is committed; CPU is that of the scorers alone, from
then on. Scorers begin together, so that partitions change hands once. Scorers and broker share {cores} cores, whose
load average was {load:.0f}."""
HEADER = ("side", "scorers", "events / s", "CPU an event", "beside ours")
PUBLISHED = 10_000
EVENTS = 100_000
"""Some 55 hours of payments, so that windows of a day are full for most of them."""
SIDES = {"ours": "benchmarks.streaming.ours", "Quix Streams": "benchmarks.peers.stream_quix"}
SCORERS = 2
"""How many share the partitions: one a core."""
FLOOR = 5_000
"""Events a second of wall clock, which two scorers keep up with on two cores."""
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure each side once."""
    events, numbers = 4_000 if quick else EVENTS, count()
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder, broker(Path(folder)) as servers:
        taken = in_turns({side: partial(_measure, side, events, Path(folder), numbers, servers) for side in SIDES}, 1)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    found = {side: runs[0] for side, runs in taken.items()}
    how = HOW.format(events=events, cards=data.CARDS, limit=ours.LIMIT, commit=0.5, load=load, cores=cores)
    return Section("Streaming with state", how, HEADER, list(_rows(found)), _promises(found))


def _measure(side: str, events: int, folder: Path, numbers: Iterator[int], servers: str) -> Figures:
    """Publish the events, start the scorers, and wait for their end."""
    name = f"bench_{next(numbers)}"
    home = folder / name
    home.mkdir()
    stream = KafkaEventStream(bootstrap_servers=servers, partitions=4, **ours.PATIENT)
    for topic in ("payments", "say", "quix"):
        stream._make(f"{name}.{topic}")
    records = [Record(value, card.encode()) for card, value in data.payments(events)]
    for first in range(0, events, PUBLISHED):
        stream.publish(f"{name}/payments", records[first : first + PUBLISHED])
    stream.close()
    ours.prepare(home, servers, name)
    python = sys.executable if side == "ours" else interpreter("quixstreams")
    command = [python, "-m", SIDES[side], str(home), servers, name, str(events), str(SCORERS)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes) for _ in range(SCORERS)]
    try:
        said = [_said(process) for process in running]
    finally:
        for process in running:
            process.kill()
    answers = sum(one["answers"] for one in said)
    if answers < events:
        raise RuntimeError(f"{side}: {answers} of {events} events are answered")
    busy = [one for one in said if one["answers"]]
    seconds = max(one["ended"] for one in busy) - min(one["began"] for one in busy)
    return {"pace": events / seconds, "cpu_us": sum(one["cpu"] for one in said) / events * 1e6}


def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, errors = process.communicate(timeout=900)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        raise RuntimeError(f"a scorer ended with {process.returncode}:\n{out[-500:]}\n{errors[-3000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _rows(found: Mapping[str, Figures]) -> Iterator[list[str]]:
    for side, one in found.items():
        ratio = one["cpu_us"] / found["ours"]["cpu_us"]
        yield [side, str(SCORERS), f"{one['pace']:,.0f}", f"{one['cpu_us']:,.0f} µs", f"{ratio:.1f}x"]


def _promises(found: Mapping[str, Figures]) -> Sequence[Promise]:
    cpu, peer = (found[side]["cpu_us"] for side in SIDES)
    return [
        Promise(f"wall clock of {FLOOR:,} events, {SCORERS} scorers", FLOOR / found["ours"]["pace"], 1.0, " s"),
        Promise("CPU of an event, beside Quix Streams", cpu / peer, 1.0, "x"),
    ]
