"""Processes that score a stream until they are killed: forked from one that has imported everything, to start at once.

Run as a script: ``stream_scorers.py <home> <bootstrap servers, or "" for a folder>``. Each line on stdin names a member
to start; its process id is printed.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import confluent_kafka.admin  # noqa: F401 - imported before the fork
import pyarrow as pa  # noqa: F401
from scorer_nursery import forked  # beside this script

from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.platform import Platform
from loopline.platform_core.scoring.stream import StreamScorer
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.resources.folder.event_stream import FolderEventStream
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.local.serving import LocalServing
from loopline.resources.sqlite.online_store import SqliteOnlineStore

REF = ModelRef("kit", "model")
LIMIT = 40


def opened(home: Path, servers: str) -> Platform:
    """Open the platform of this test."""
    streams: Any = FolderEventStream(root=f"{home}/streams", partitions=4)
    if servers:
        streams = KafkaEventStream(bootstrap_servers=servers, partitions=4, session_seconds=6)
    bindings: dict[str, Any] = {
        "event_stream": streams,
        "online_store": SqliteOnlineStore(path=f"{home}/online.db"),
        "serving": LocalServing(root=f"{home}/serving", port=1),
        "registry": InMemoryRegistry(),
    }
    return Platform(Environment("kills", home, bindings, f"sqlite:///{home}/ledger.db", None, home))


def score(home: Path, servers: str, member: str) -> None:
    """Score for ever."""
    platform = opened(home, servers)
    joined = platform.event_stream.join("kit/ask", "scorers", member)

    def report(said: str) -> None:
        with (home / "reports").open("a") as file:
            file.write(f"{member}: {said}\n")

    StreamScorer(platform, REF, "kit/ask", "kit/say", joined, report, LIMIT).run(threading.Event())


if __name__ == "__main__":
    forked(partial(score, Path(sys.argv[1]), sys.argv[2]))
