"""Our scorer: ``python -m benchmarks.streaming.ours HOME BROKER NAME EVENTS SCORERS``; prints when it begins and ends.

``SCORERS`` of them share the partitions; they begin together, and end when the group has answered ``EVENTS``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.streaming import data
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef, online_view
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, WindowsField
from loopline.platform_core.scoring.stream import StreamScorer
from loopline.platform_core.specs import FeatureView, Model, Source, Team, Window, labels, windows
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.local.serving import LocalServing
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    properties:
      - {name: payment, logicalType: string, required: true}
      - {name: card, logicalType: string, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number, required: true, logicalTypeOptions: {exclusiveMinimum: 0}}
      - {name: shop, logicalType: string}
      - {name: country, logicalType: string}
"""
LIMIT = 2_000
PATIENT: dict[str, Any] = {"timeout_seconds": 120, "session_seconds": 45}
"""For a machine that does much else."""


def view(source: Source) -> FeatureView:
    """Declare what is asked of a card's newest payments."""
    features = {
        "amount": Window.own("amount"),
        "payments_1h": Window.count(hours=1),
        "payments_1d": Window.count(days=1),
        "spent_1d": Window.sum("amount", days=1),
        "mean_last_5": Window.mean("amount", events=5, days=1),
        "largest_1d": Window.max("amount", days=1),
        "shops_1d": Window.distinct("shop", days=1),
        "seconds_since": Window.since(days=1),
    }
    keys = {"entity": "payment", "by": "card", "time": "paid_at"}
    return windows("activity", source, **keys, features=features, late_days=0.1)


def team(home: Path, name: str) -> Team:
    """Declare the team."""
    home.joinpath("payments.yaml").write_text(CONTRACT)
    source = Source("payments", "payments.yaml", arrives="stream")
    label = labels(source, entities=("payment",), time="paid_at", label="amount", known_at="paid_at")(lambda rows: rows)
    return Team(name, home, (Model("fraud", (view(source),), label, fit=None),))


def opened(home: Path, broker: str) -> Platform:
    """Open a platform on the broker."""
    bindings: dict[str, Any] = {
        "lake": DeltaLake(root=f"{home}/lake"),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=f"{home}/online.db"),
        "event_stream": KafkaEventStream(bootstrap_servers=broker, **PATIENT),
        "serving": LocalServing(root=f"{home}/serving", port=1),
        "registry": InMemoryRegistry(),
    }
    return Platform(Environment("bench", home / "b.yaml", bindings, f"sqlite:///{home}/ledger.db", None, home))


def prepare(home: Path, broker: str, name: str) -> None:
    """Let a version be live, whose model is that of ``data``."""
    platform, declared = opened(home, broker), team(home, name)
    ref, activity = ModelRef(name, "fraud"), declared.views[0]
    package = home / "package"
    package.mkdir()
    data.write_model(package / "model.txt")
    Manifest(
        model=ref.dotted,
        kind="lightgbm",
        file="model.txt",
        features=[FeatureField(feature, "request") for feature in data.FEATURES],
        views=[],
        entities=["payment"],
        vocabulary={},
        threshold=0.5,
        training_set="t",
        cycle="c",
        parity=Parity(0, 0.0, "measured as it is"),
        windows=[WindowsField(online_view(name, activity), f"{name}/payments", [*data.FEATURES], activity.compute)],
    ).save(package)
    platform.registry.publish(Publication(ref.dotted, package, None, None))
    why = {"actor": "b", "reason": "b", "cycle": "c", "now": platform.clock.now()}
    change(platform, ref, Served("1", package, "c"), None, 0, **why)
    platform.close()


def main() -> None:
    """Score until everybody's answers are there."""
    home, broker, name, (events, scorers) = Path(sys.argv[1]), sys.argv[2], sys.argv[3], map(int, sys.argv[4:])
    platform, declared = opened(home, broker), team(home, name)
    data.meet(home, "begin", scorers)
    joined = platform.event_stream.join(f"{name}/payments", f"score.{name}")
    ref, said = ModelRef(name, "fraud"), f"{name}/say"
    scorer = StreamScorer(platform, ref, f"{name}/payments", said, joined, print, LIMIT, team=declared)
    began = ended = cpu = spent = 0.0
    while True:
        at, so_far = time.time(), time.process_time()
        done = scorer.turn(0.2)
        if done:  # joining the group is not measured, nor waiting for the others
            began, cpu = (began, cpu) if began else (at, so_far)
            ended, spent = time.time(), time.process_time() - cpu
        elif sum(platform.event_stream.ends(said).values()) >= events:
            break
    print(json.dumps({"began": began, "ended": ended, "cpu": spent, "answers": scorer.counted[said]}))
    data.meet(home, "end", scorers)  # who leaves moves partitions
    scorer.close()


if __name__ == "__main__":
    main()
