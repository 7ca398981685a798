"""Processes that score events with state until they are killed: forked from one that has imported everything.

Run as a script: ``state_scorers.py <home> <bootstrap servers>``. Each line on stdin names a member to start; its
process id is printed.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import confluent_kafka.admin  # noqa: F401 - imported before the fork

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from loopline.platform_core.environment import Environment  # noqa: E402
from loopline.platform_core.platform import Platform  # noqa: E402
from loopline.platform_core.scoring.stream import StreamScorer  # noqa: E402
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry  # noqa: E402
from loopline.resources.delta.lake import DeltaLake  # noqa: E402
from loopline.resources.duckdb.engine import DuckdbEngine  # noqa: E402
from loopline.resources.kafka.event_stream import KafkaEventStream  # noqa: E402
from loopline.resources.local.serving import LocalServing  # noqa: E402
from loopline.resources.sqlite.online_store import SqliteOnlineStore  # noqa: E402
from tests.platform_core.scoring.order_events import REF, team  # noqa: E402
from tests.resources.kafka.scorer_nursery import forked  # noqa: E402

LIMIT = 25


def opened(home: Path, servers: str) -> Platform:
    """Open the platform of this test."""
    bindings: dict[str, Any] = {
        "event_stream": KafkaEventStream(bootstrap_servers=servers, partitions=4, session_seconds=6),
        "online_store": SqliteOnlineStore(path=f"{home}/online.db"),
        "serving": LocalServing(root=f"{home}/serving", port=1),
        "registry": InMemoryRegistry(),
        "lake": DeltaLake(root=f"{home}/lake"),
        "engine": DuckdbEngine(),  # it has no threads that a fork would lose
    }
    return Platform(Environment("kills", home, bindings, f"sqlite:///{home}/ledger.db", None, home))


def score(home: Path, servers: str, member: str) -> None:
    """Score for ever."""
    platform = opened(home, servers)
    joined = platform.event_stream.join("shop/placed", "scorers", member)

    def report(said: str) -> None:
        with (home / "reports").open("a") as file:
            file.write(f"{member}: {said}\n")

    scorer = StreamScorer(platform, REF, "shop/placed", "shop/say", joined, report, LIMIT, team=team(home))
    scorer.run(threading.Event())


if __name__ == "__main__":
    forked(partial(score, Path(sys.argv[1]), sys.argv[2]))
