"""One side: ``python -m benchmarks.ingestion.side SIDE FOLDER ROWS BROKER``; prints a JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.ingestion import data
from benchmarks.measured import measured
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import raw_table
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.platform import Platform
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.folder.event_stream import FolderEventStream
from loopline.resources.polars.engine import PolarsEngine

if TYPE_CHECKING:
    from loopline.platform_core.contracts.event_stream import EventStream

FILES = 40


def files(home: Path, rows: int, broker: str) -> Callable[[], int]:  # noqa: ARG001 - one signature for all
    """Land CSV files."""
    data.write_files(home / "landing/bench/files", FILES, rows // FILES)
    return _landing(home, "files", None)


def by_hand(home: Path, rows: int, broker: str) -> Callable[[], int]:  # noqa: ARG001 - one signature for all
    """Read the same files with Polars, type them, keep what has a good price, and append them to a Delta table."""
    import polars as pl
    from deltalake import write_deltalake

    data.write_files(home / "landing", FILES, rows // FILES)

    def run() -> int:
        frame = pl.scan_csv(str(home / "landing/*.csv"), try_parse_dates=True)
        good = frame.filter(pl.col("price") > 0).with_columns(_date=pl.col("sold_at").dt.date()).collect()
        write_deltalake(str(home / "table"), good.to_arrow(), partition_by=["_date"])
        return rows

    return run


def stream_in_folder(home: Path, rows: int, broker: str) -> Callable[[], int]:  # noqa: ARG001 - one signature for all
    """Land a stream that lies in a folder."""
    stream = FolderEventStream(root=str(home / "events"))
    data.publish(stream, "bench/events", rows)
    return _landing(home, "events", stream)


def stream_on_kafka(home: Path, rows: int, broker: str) -> Callable[[], int]:
    """Land a topic of three partitions."""
    from loopline.resources.kafka.event_stream import KafkaEventStream

    stream = KafkaEventStream(bootstrap_servers=broker, partitions=3)
    name = f"{home.parent.name}_{home.name}"  # one broker has the topics of all runs
    data.publish(stream, f"{name}/events", rows)
    return _landing(home, "events", stream, name)


SIDES = {"files": files, "by_hand": by_hand, "folder": stream_in_folder, "kafka": stream_on_kafka}


def _landing(home: Path, source: str, stream: EventStream | None, name: str = "bench") -> Callable[[], int]:
    bindings = {
        "lake": DeltaLake(root=str(home / "lake")),
        "engine": PolarsEngine(),
        "event_source": FolderEventSource(root=str(home / "landing"), still_seconds=0),
    } | ({"event_stream": stream} if stream else {})
    bound = Environment("bench", home / "bench.yaml", bindings, f"sqlite:///{home}/ledger.db", None, home)
    platform, team = Platform(bound), replace(data.team(home), name=name)
    platform.ledger.entries(limit=1)  # opened once a process, not once a landing

    def run() -> int:
        landed = land(platform, team, team.source(source))
        held = len(platform.lake.read(raw_table(name, source), columns=["line_id"]))
        if held != landed.rows:
            raise ValueError(f"{held} rows in the lake, {landed.rows} landed")
        return landed.rows + landed.dead

    return run


def main() -> None:
    """Measure the side named, once."""
    side, folder, rows, broker = sys.argv[1:]
    warm, whole = Path(folder) / "warm", Path(folder) / "whole"
    for place in (warm, whole):
        place.mkdir(parents=True)
    SIDES[side](warm, FILES, broker)()  # a little first, so that libraries are there when it counts
    run = SIDES[side](whole, int(rows), broker)
    found, cost = measured(run)
    if found != int(rows):
        raise ValueError(f"{found} of {rows} rows landed")
    print(json.dumps({"rows": found, "seconds": cost.seconds, "peak_mb": cost.peak_mb}))


if __name__ == "__main__":
    main()
