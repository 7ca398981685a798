"""Data changes its mind between two trainings: what was served is what training sees, and what anyone would say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.foundation.names import ModelRef, online_view
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.stories.changing_histories import HISTORIES, customers
from loopline.stories.changing_shop import VIEWS, ChangingShop, Order, came
from tests.platform_core.monitor.test_skew import post

REF = ModelRef("shop", "returns")
FIELDS = {"spending": "spend", "basket": "bought"}


class LoggingServing(InMemoryServing):
    """An endpoint whose log is that of the real server's application."""

    records: list[Record] = []  # noqa: RUF012 - a field of pydantic's

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Give what was logged, as the server's log table."""
        return log_table.table(self.records[int(after or 0) :]), str(len(self.records))


@dataclass
class Endpoint:
    """The server's application in this process, on the shop's online store."""

    shop: ChangingShop
    serving: LoggingServing
    version: int = 0
    came: list[Record] = field(default_factory=list)

    def deploy(self, hour: float) -> None:
        """Pin a training set, and let a version of it answer."""
        self.version += 1
        self.shop.pin()
        platform, version = self.shop.platform, str(self.version)
        fields = [ViewField(online_view("shop", v), "customer", [FIELDS[v.name]], ttl_days=v.ttl_days) for v in VIEWS]
        package = write_package(self.shop.folder / f"package{version}", Constant(0.2), fields)
        stable = Served(version, package, f"cycle-{version}")
        platform.registry.publish(Publication(REF.dotted, package, None, pa.table({"amount": [1.0]})))  # type: ignore[arg-type]
        self.inference = Inference(platform.online_store, lambda _, record: self.came.append(record))
        state = DesiredState(REF.dotted, self.version, stable, None, 0)
        self.inference.models[REF.dotted] = ModelState(Route.build(state, None))
        change(platform, REF, stable, None, 0, actor="t", reason="t", cycle=stable.cycle, now=at(hour))

    def ask(self, customer: int, hour: float) -> dict[str, Any]:
        """Ask about a customer at an hour; return the features of which the model answered."""
        body = {"id": f"r{len(self.serving.records)}", "parameters": {"event_time": at(hour).isoformat()}}
        sent = {"customer_id": ("BYTES", "x"), "customer": ("INT64", customer), "amount": ("FP64", 1.0)}
        inputs = [{"name": n, "shape": [1], "datatype": kind, "data": [value]} for n, (kind, value) in sent.items()]
        app = App(self.inference, lifespan=None, ready=lambda: True)  # type: ignore[arg-type]
        self.came.clear()
        assert asyncio.run(post(app, REF.dotted, json.dumps({**body, "inputs": inputs}).encode())) == 200
        micros = int(at(hour).timestamp() * 1e6)
        (record,) = self.came
        self.serving.records.append(msgspec.structs.replace(record, asked_at_us=micros, logged_at_us=micros))
        return dict(json.loads(log_table.table([self.serving.records[-1]])["features"][0].as_py()))


@pytest.mark.parametrize("name", HISTORIES)
def test_what_was_served_is_what_training_sees(opened: Any, name: str) -> None:
    """Land, train, serve, correct, train again, serve: replayed offline 0 rows differ, and training agrees."""
    serving, history = LoggingServing(records=[]), HISTORIES[name]
    shop = opened(serving=serving, registry=InMemoryRegistry())
    endpoint, names = Endpoint(shop, serving), [*customers(history), 99]
    served: dict[tuple[int, float], dict[str, Any]] = {}
    for hour, steps in history:
        shop.at(hour, *steps, whole_below=0)
        endpoint.deploy(hour)
        for later in (hour + 0.5, hour + 2, hour + 5):
            served |= {(who, later): endpoint.ask(who, later) for who in names}
        shop.platform.clock.set(at(hour + 6))
        compact(shop.platform, shop.team, shop.team.models[0])
        every = skew.check(shop.platform, shop.team, shop.team.models[0])
        newest = next(found for found in every if found.version == str(endpoint.version))
        assert (newest.rows, newest.differing, newest.passed) == (3 * len(names), 0, True), newest.examples
    for (who, hour), features in served.items():
        for view, feature in FIELDS.items():
            assert features[feature] == shop.truth.newest(view, hour, hour).get(who), (view, who, hour)
    asked = [Order(500 + n, who, hour, n % 2) for n, (who, hour) in enumerate(served)]
    shop.bring(60, came("asked", *asked, source="outcomes"))
    shop.platform.clock.set(at(70))
    made = shop.pin()
    assert made is not None
    learnt = {(row["customer"], row["event_time"]): row for row in shop.rows(made).to_pylist()}
    for (who, hour), features in served.items():
        row = learnt[who, at(hour)]
        assert {f: row[f] for f in FIELDS.values()} == {f: features[f] for f in FIELDS.values()}, (who, hour)
