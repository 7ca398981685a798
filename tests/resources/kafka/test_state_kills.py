"""Scorers that keep state are killed (-9): every event is answered once, with the features that it has offline.

``LOOPLINE_TEST_REPEATS=20`` kills more often than the few times of every run.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import EVENT_TIME, view_table
from loopline.platform_core.ingestion.streams.streaming import land_stream
from loopline.platform_core.runtime.prediction_log import log_table
from tests.platform_core.scoring import order_events
from tests.platform_core.scoring.order_events import PLACED, REF, activity, live, real_orders, records, team
from tests.repeats import repeats
from tests.resources.kafka.scorer_nursery import Forking

HERE = Path(__file__).parent
KILLS = repeats(2)


class Site(Forking):
    """A broker's topic of orders, and scorers that can be killed."""

    def answered(self, wanted: int, seconds: float = 300.0) -> list[dict[str, Any]]:
        """Wait for so many answers, and read them."""
        end = time.monotonic() + seconds
        while len(rows := self.platform.event_stream.read("shop/say", {}, 100_000)) < wanted and time.monotonic() < end:
            time.sleep(0.2)  # between two looks: what is looked at tells nobody
        return [json.loads(value) for value in rows["value"].to_pylist()]


@pytest.fixture
def site(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a live version, a topic of four partitions, and a process that starts scorers."""
    monkeypatch.syspath_prepend(str(HERE))
    import state_scorers

    platform = state_scorers.opened(tmp_path, kafka)
    team(tmp_path)
    live(platform, tmp_path / "package", activity())
    for name in ("shop.placed", "shop.say", "shop.placed.dead"):
        platform.event_stream._make(name)  # type: ignore[attr-defined]
    command = [sys.executable, str(HERE / "state_scorers.py"), str(tmp_path), kafka]
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Site(tmp_path, platform, nursery)
    assert nursery.stdin
    nursery.stdin.close()
    nursery.wait(300)
    platform.close()


def test_kills_leave_state_and_answers_in_agreement(site: Site) -> None:
    """Two members, killed at any moment; events come late and twice; some of the past has landed, some has not."""
    chance, orders = random.Random(), real_orders(9_000)
    come = [order for order in orders for _ in range(2 if chance.random() < 0.1 else 1)]
    for place in range(0, len(come) - 4, 5):
        come[place], come[place + 3] = come[place + 3], come[place]
    parts = _parts(come, KILLS + 1)
    running = {name: site.start(name) for name in ("a", "b")}
    wanted, declared = set[str](), team(site.home)
    for number, part in enumerate(parts):
        site.platform.event_stream.publish("shop/placed", records(part))
        wanted |= {order["invoice"] for order in part}
        if number == len(parts) - 1:
            break
        time.sleep(chance.uniform(0, 1.5))  # any moment
        name = chance.choice("ab")
        site.kill(running[name])
        if number % 2 == 0:
            land_stream(site.platform, declared, PLACED)
        running[name] = site.start(name)
    answers = site.answered(len(wanted))
    for process in running.values():
        site.kill(process)
    while land_stream(site.platform, declared, PLACED).arrivals:
        pass
    materialize(site.platform, declared, activity())
    offline = {
        (row["invoice"], row[EVENT_TIME]): row
        for row in site.platform.lake.read(view_table("shop", activity())).to_pylist()
    }
    logged = log_table.read_after(site.home / "serving", REF.dotted, None)[0].to_pylist()
    differing = [row for row in logged if not _alike(order_events.features(row), offline[_key(row)])]
    print(f"\n{KILLS} kills, {len(answers)} answers, {len(logged)} logged, {len(differing)} differ")  # noqa: T201
    assert Counter(answer["id"] for answer in answers) == Counter(wanted)
    assert Counter(row["request_id"] for row in logged) == Counter(answer["request_id"] for answer in answers)
    assert differing == []


def _parts(come: list[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    size = -(-len(come) // count)
    return [come[first : first + size] for first in range(0, len(come), size)]


def _key(row: dict[str, Any]) -> tuple[str, Any]:
    return json.loads(row["keys"])["invoice"], row[EVENT_TIME]


def _alike(served: dict[str, Any], offline: dict[str, Any]) -> bool:
    return served == {name: offline[name] for name in served}
