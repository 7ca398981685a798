"""Quix Streams on the same work: ``python -m benchmarks.peers.stream_quix HOME BROKER NAME EVENTS SCORERS``.

A team's own code keeps a card's payments of a day as a list in the library's state (RocksDB, with a changelog topic),
computes the same figures, asks the same LightGBM model, and answers exactly once by the library's transactions.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import lightgbm
import numpy as np
from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application, State

from benchmarks.streaming.data import DAY_US, HOUR_US, meet

COMMIT_SECONDS = 0.5
STILL_SECONDS = 5.0
"""So long nothing may come until all is taken for done."""


def figures(payment: dict, state: State) -> list[float]:
    """Add a payment to its card's, and compute the features; late ones are not looked after."""
    at = int(datetime.fromisoformat(payment["paid_at"]).timestamp() * 1e6)
    held = [one for one in state.get("payments", []) if one[0] > at - DAY_US]
    held.append([at, payment["amount"], payment["shop"]])
    state.set("payments", held)
    amounts = [one[1] for one in held]
    return [
        payment["amount"],
        sum(one[0] > at - HOUR_US for one in held),
        len(held),
        math.fsum(amounts),
        math.fsum(amounts[-5:]) / len(amounts[-5:]),
        max(amounts),
        len({one[2] for one in held}),
        (at - held[-2][0]) / 1e6 if len(held) > 1 else math.nan,
    ]


def main() -> None:
    """Score until everybody's answers are there."""
    home, broker, name, (events, scorers) = Path(sys.argv[1]), sys.argv[2], sys.argv[3], map(int, sys.argv[4:])
    app = Application(
        broker_address=broker,
        consumer_group=f"quix.{name}",
        state_dir=str(home / f"quix-{os.getpid()}"),
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        auto_offset_reset="earliest",
        loglevel="ERROR",
        request_timeout=120,
        topic_create_timeout=120,
        consumer_extra_config={"session.timeout.ms": 45_000},
    )
    booster = lightgbm.Booster(model_file=str(home / "package" / "model.txt"))
    found = {"began": 0.0, "ended": 0.0, "cpu": 0.0, "answers": 0}

    def scored(payment: dict, state: State) -> dict:
        if not found["answers"]:
            found["began"], found["cpu"] = time.time(), -time.process_time()
        found["answers"] += 1
        row = np.array([figures(payment, state)])
        return {"payment": payment["payment"], "probability": float(booster.predict(row, num_threads=1)[0])}

    asked = app.topic(f"{name}.payments", key_deserializer="str", value_deserializer="json")
    said = app.topic(f"{name}.quix", key_serializer="str", value_serializer="json")
    app.dataframe(asked).apply(scored, stateful=True).to_topic(said)
    meet(home, "begin", scorers)
    threading.Thread(target=_until, args=(app, broker, f"{name}.quix", events, found), daemon=True).start()
    app.run()
    print(json.dumps(found))


def _until(app: Application, broker: str, topic: str, events: int, found: dict) -> None:
    """Stop it once all answers are committed: a reader of committed records is told where these end.

    The ends of transactions count as well, so it is over when nothing has come for a while.
    """
    own = {"bootstrap.servers": broker, "group.id": f"look-{time.time_ns()}", "isolation.level": "read_committed"}
    consumer, last = Consumer(own), 0
    places = [
        TopicPartition(topic, partition) for partition in consumer.list_topics(topic, 60).topics[topic].partitions
    ]
    cpu = 0.0
    while last < events or time.time() < found["ended"] + STILL_SECONDS:
        count = sum(consumer.get_watermark_offsets(place, 60)[1] for place in places)
        if count > last:
            last, found["ended"], cpu = count, time.time(), time.process_time()
        time.sleep(0.2)
    found["cpu"] += cpu
    app.stop()


if __name__ == "__main__":
    main()
