"""Processes that land a stream until they are killed: forked from one that has imported everything, to start at once.

Run as a script: ``stream_writers.py <home> <bootstrap servers>``. Each line on stdin starts a writer; its process id is
printed. A writer notes in ``<home>/phase.<pid>`` what it is about to do, and adds to ``<home>/overtaken.<pid>`` each
error for which it began again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import confluent_kafka.admin  # noqa: F401 - imported before the fork
import deltalake  # noqa: F401
import polars as pl  # noqa: F401
import pyarrow as pa

from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import Transient
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.streams import streaming
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.polars import engine, row_checks  # noqa: F401

BATCH, WIDTH = 60, 40
SOURCE = Source("orders", "orders.yaml", arrives="stream")
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
schema:
  - name: orders
    properties:
      - {name: number, physicalName: Number, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0}}
"""


def note(phase: str) -> None:
    """Say what comes next, for whoever finds this process dead."""
    file = os.open(Path(os.environ["PHASES"], f"phase.{os.getpid()}"), os.O_WRONLY | os.O_CREAT)
    os.write(file, phase.ljust(WIDTH).encode())  # at once: it may be read at any moment
    os.close(file)


class NotedLake(DeltaLake):
    """Notes which commit is under way."""

    def append(
        self,
        table: str,
        rows: pa.Table,
        transactions: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> int:
        """Note it, and what is done once it is there."""
        letters = "dead_letters" in table
        note("letters" if letters else "rows")
        version = super().append(table, rows, transactions, after)
        note("publishing" if letters else "done")
        return version


class NotedStream(KafkaEventStream):
    """Notes that a batch is read."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read, then check, if there is anything."""
        note("reading")
        records = super().read(stream, offsets, limit, wait_seconds)
        note("checking" if len(records) else "waiting")
        return records

    def publish(self, stream: str, records: Any) -> None:
        """Publish, then write rows."""
        super().publish(stream, records)
        note("published")


def opened(home: Path, servers: str) -> tuple[Platform, Team, Source]:
    """Open the platform of this test."""
    bindings = {
        "lake": NotedLake(root=f"{home}/lake", attempts=30),
        "event_stream": NotedStream(bootstrap_servers=servers, partitions=3),
        "engine": engine.PolarsEngine(),
    }
    platform = Platform(Environment("kills", home, bindings, f"sqlite:///{home}/ledger.db", None, home))
    return platform, Team(home.name, home), SOURCE  # each test has a topic of its own


def write(home: Path, servers: str) -> None:
    """Land batches for ever; who is overtaken begins again."""
    note("starting")
    args = opened(home, servers)
    while True:
        try:
            batch: Landed = streaming.land_stream(*args, limit=BATCH, wait_seconds=0.2)
            note("done" if batch.arrivals else "waiting")
        except Transient as error:
            note("overtaken")
            with Path(os.environ["PHASES"], f"overtaken.{os.getpid()}").open("a") as file:
                file.write(f"{type(error).__name__}\n")
            time.sleep(0.01)  # lets who overtook it finish


def main(home: Path, servers: str) -> None:
    """Fork a writer for each line on stdin."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.environ["PHASES"] = str(home)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.close(0)
            write(home, servers)
        print(child, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
