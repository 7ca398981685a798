"""The real inference server on a real Redis: what it serves, what it logs, and what happens while Redis is away."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.online_store import Keep
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.testing.online_store import view_rows
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import ENTITY, Column, write_package
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import come_to
from loopline.resources.local.serving import LocalServing
from loopline.resources.redis.online_store import RedisOnlineStore

MODEL = "shop.returns"
VIEWS = [
    ViewField("shop.history.v1", ENTITY, ["spend"], ttl_days=1.0),
    ViewField("shop.visits.v1", ENTITY, ["visits"], ttl_days=1.0),
]
NOON = datetime(2011, 3, 1, 12, tzinfo=UTC)
KEYS = 40


class Place:
    """A server that answers with a customer's spend, on the data's own clock."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.port, self.clock = free_port(), ReplayClock(folder / "clock")
        self.environment = folder / "environment.yaml"
        self.environment.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {self.port}}}
  online_store: {{vendor: redis, url: "{redis_url}", timeout_seconds: 0.5}}
clock: {{replay: "{self.clock.path}"}}
""")
        self.serving = LocalServing(root=f"{folder}/serving", port=self.port)
        self.store = RedisOnlineStore(url=redis_url)
        self.clock.set(NOON)

    def fill(self) -> None:
        """Put every customer's features online, an hour old; the first has spent long ago, the second never visited."""
        hour_ago = int((NOON - timedelta(hours=1)).timestamp() * 1e6)
        times, spend = [hour_ago - 48 * 3_600_000_000, *[hour_ago] * (KEYS - 1)], [n / 100 for n in range(KEYS)]
        self.store.write(VIEWS[0].view, ENTITY, view_rows(list(range(KEYS)), times, spend=spend))
        visits = [n for n in range(KEYS) if n != 1]
        rows = view_rows(visits, [hour_ago] * len(visits), visits=[1.0] * len(visits))
        self.store.write(VIEWS[1].view, ENTITY, rows, Keep(1.0, NOON))

    def ask(self, key: int) -> tuple[int, Any]:
        """Ask about one customer; gives the status, and the score or what is wrong."""
        inputs = [
            {"name": ENTITY, "shape": [1], "datatype": "INT64", "data": [key]},
            {"name": "amount", "shape": [1], "datatype": "FP64", "data": [1.0]},
        ]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", f"/v2/models/{MODEL}/infer", json.dumps({"inputs": inputs}))
        response = connection.getresponse()
        said = json.load(response)
        connection.close()
        return response.status, said["error"] if response.status != 200 else said["outputs"][0]["data"][0]


@pytest.fixture
def place(own_redis_server: Any, tmp_path: Path) -> Iterator[Place]:
    """Run the server with one model, whose score is the spend."""
    place = Place(tmp_path, own_redis_server.url)
    place.fill()
    package = write_package(tmp_path / "package", Column(1), VIEWS)
    with inference_server(place.environment, place.port):
        come_to(place.serving, DesiredState(MODEL, 1, Served("1", package, "cycle-1")))
        yield place
    place.store.close()


def test_features_come_from_redis_and_the_log_tells_the_rest(place: Place) -> None:
    """Many callers at once get their own scores; the log says what was stale or missing, in the platform's time."""
    answers: dict[int, tuple[int, Any]] = {}
    callers = [threading.Thread(target=lambda key=key: answers.update({key: place.ask(key)})) for key in range(2, KEYS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == {key: (200, key / 100) for key in range(2, KEYS)}
    place.clock.set(NOON + timedelta(hours=2))
    assert place.ask(0)[0] == 500  # the stub has no score without a spend; that is logged as well
    place.ask(1)
    rows = {json.loads(row["keys"])[ENTITY]: row for row in place.serving.predictions(MODEL)[0].to_pylist()}
    assert (rows[0]["stale"], rows[0]["missing"]) == ([VIEWS[0].view], [])
    assert (rows[1]["stale"], rows[1]["missing"]) == ([], [VIEWS[1].view])
    assert (rows[2]["stale"], rows[2]["missing"]) == ([], [])
    assert rows[2]["event_time"] == rows[2]["asked_at"] == rows[2]["logged_at"] == NOON
    assert rows[1]["logged_at"] == NOON + timedelta(hours=2)


def test_redis_dies_under_load_and_comes_back(own_redis_server: Any, place: Place) -> None:
    """While it is away callers get a 503 that says so, at once; when it is back, answers are right again."""
    assert place.ask(7) == (200, 0.07)
    own_redis_server.kill()
    away = [place.ask(7) for _ in range(5)]
    assert Counter(status for status, _ in away) == {503: 5}
    assert all("Redis" in said and "→" in said for _, said in away)
    own_redis_server.start()
    place.fill()
    assert place.ask(7) == (200, 0.07)
    assert len(place.serving.predictions(MODEL)[0]) == 2
