"""The real inference server on DynamoDB: what it serves, what it logs, and what happens while the service is away."""

from __future__ import annotations

import http.client
import json
import threading
import uuid
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
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from loopline.resources.local.serving import LocalServing
from tests.emulators import faults
from tests.emulators.aws import REGION, AwsServer
from tests.emulators.faults import FaultProxy

MODEL = "shop.returns"
VIEWS = [
    ViewField("shop.history.v1", ENTITY, ["spend"], ttl_days=1.0),
    ViewField("shop.visits.v1", ENTITY, ["visits"], ttl_days=1.0),
]
NOON = datetime(2011, 3, 1, 12, tzinfo=UTC)
KEYS = 20


class Place:
    """A server that answers with a customer's spend, on the data's own clock."""

    def __init__(self, folder: Path, url: str) -> None:
        self.port, self.clock = free_port(), ReplayClock(folder / "clock")
        self.environment = folder / "environment.yaml"
        table = f"served-{uuid.uuid4().hex}"
        binding = f'vendor: dynamodb, table: {table}, region: {REGION}, endpoint_url: "{url}", timeout_seconds: 3'
        self.environment.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {self.port}}}
  online_store: {{{binding}}}
clock: {{replay: "{self.clock.path}"}}
""")
        self.serving = LocalServing(root=f"{folder}/serving", port=self.port)
        self.store = DynamodbOnlineStore(table=table, region=REGION, endpoint_url=url, create=True)
        self.clock.set(NOON)

    def fill(self) -> None:
        """Put every customer's features online, an hour old; the second never visited."""
        hour_ago = int((NOON - timedelta(hours=1)).timestamp() * 1e6)
        spend = [n / 100 for n in range(KEYS)]
        self.store.write(VIEWS[0].view, ENTITY, view_rows(list(range(KEYS)), [hour_ago] * KEYS, spend=spend))
        visits = [n for n in range(KEYS) if n != 1]
        rows = view_rows(visits, [hour_ago] * len(visits), visits=[1.0] * len(visits))
        self.store.write(VIEWS[1].view, ENTITY, rows, Keep(1.0, NOON))

    def ask(self, key: int) -> tuple[int, Any]:
        """Ask about one customer; gives the status, and the score or what is wrong."""
        inputs = [
            {"name": ENTITY, "shape": [1], "datatype": "INT64", "data": [key]},
            {"name": "amount", "shape": [1], "datatype": "FP64", "data": [1.0]},
        ]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", f"/v2/models/{MODEL}/infer", json.dumps({"inputs": inputs}))
        response = connection.getresponse()
        said = json.load(response)
        connection.close()
        return response.status, said["error"] if response.status != 200 else said["outputs"][0]["data"][0]


@pytest.fixture
def proxy(aws: AwsServer) -> Iterator[FaultProxy]:
    """Stand before AWS."""
    with FaultProxy(aws.url) as proxy:
        yield proxy


@pytest.fixture
def place(proxy: FaultProxy, tmp_path: Path) -> Iterator[Place]:
    """Run the server with one model, whose score is the spend."""
    place = Place(tmp_path, proxy.url)
    place.fill()
    package = write_package(tmp_path / "package", Column(1), VIEWS)
    with inference_server(place.environment, place.port):
        come_to(place.serving, DesiredState(MODEL, 1, Served("1", package, "cycle-1")))
        yield place
    place.store.close()


def test_features_come_from_dynamodb_also_after_it_was_away(place: Place, proxy: FaultProxy) -> None:
    """Many callers at once get their own scores, the log tells what was missing; what is away is a 503 that says so."""
    assert place.ask(2) == (200, 0.02)
    answers: dict[int, tuple[int, Any]] = {}
    callers = [threading.Thread(target=lambda key=key: answers.update({key: place.ask(key)})) for key in range(KEYS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == {key: (200, key / 100) for key in range(KEYS)}
    proxy.add(faults.header("X-Amz-Target", "BatchGetItem"), faults.answer(503))
    away = [place.ask(7) for _ in range(2)]
    assert Counter(status for status, _ in away) == {503: 2}
    assert all("DynamoDB's table" in said and "→" in said for _, said in away)
    proxy.clear()
    assert place.ask(7) == (200, 0.07)
    rows = {json.loads(row["keys"])[ENTITY]: row for row in place.serving.predictions(MODEL)[0].to_pylist()}
    assert {key: row["missing"] for key, row in rows.items()} == {
        key: [VIEWS[1].view] if key == 1 else [] for key in range(KEYS)
    }
