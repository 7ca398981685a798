"""What was served is asked again offline; each way to differ is made to happen, found, and named by its cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import narwhals as nw
import pyarrow as pa
import pytest

from loopline.platform_core.alarms import standing
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.features.materialization.upserts import Keeping
from loopline.platform_core.features.registry import failing
from loopline.platform_core.foundation.names import (
    BEGUN_AT,
    CREATED_AT,
    DATE,
    EVENT_TIME,
    ModelRef,
    online_view,
    raw_table,
    view_table,
)
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.loop.rollouts import skews
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.specs import Model, Skew, Team, feature_view
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.testing.engines.engine_tables import ORDERS, at, large_order, put_contract, raw_orders
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.platform_core.homes import opened

REF = ModelRef("shop", "large_orders")


@feature_view(ORDERS, entity="customer", time="ordered_at", ttl_days=1)
def history(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend and orders so far, and the country."""
    moments = orders.group_by("customer", "ordered_at").agg(
        nw.col("amount").sum(), orders=nw.len(), country=nw.col("article").max()
    )
    so_far = nw.col("amount").cum_sum().over("customer", order_by="ordered_at")
    return moments.select("customer", "ordered_at", "country", "orders", spend=so_far)


VIEW = ViewField(online_view("shop", history), "customer", ["country", "orders", "spend"], ttl_days=1)


class LoggingServing(InMemoryServing):
    """An endpoint whose log is that of the real server's application."""

    records: list[Record] = []  # noqa: RUF012 - a field of pydantic's

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Give what was logged, as the server's log table."""
        start = int(after or 0)
        return log_table.table(self.records[start:]), str(len(self.records))


@dataclass
class Shop:
    """A team, its features, and the server's application in this process; hours are the platform's clock."""

    platform: Platform
    team: Team
    serving: LoggingServing
    records: list[Record] = field(default_factory=list)

    @property
    def model(self) -> Model:
        """Return the one model."""
        return self.team.models[0]

    def land(self, *rows: tuple[int | None, float, float, float, str], hour: float) -> None:
        """Land raw rows of (customer, hour, arrival's hour, amount, country) and make features at an hour."""
        self.land_alone(*rows, hour=hour)
        materialize(self.platform, self.team, history)

    def land_alone(self, *rows: tuple[int | None, float, float, float, str], hour: float) -> None:
        """Land raw rows, which features have yet to follow."""
        self.now(hour)
        rows_ = raw_orders(*rows)
        dates = pa.compute.cast(rows_["ordered_at"], pa.date32())
        self.platform.lake.append(raw_table("shop", "orders"), rows_.append_column(DATE, dates))

    def now(self, hour: float) -> None:
        """Move the clock."""
        self.platform.clock.set(at(hour))

    def ask(self, customer: int | str, hour: float, answered: float | None = None, **sent: Any) -> None:
        """Ask about an order at an hour, answered at that hour unless said otherwise."""
        inputs = [_tensor("customer_id", "x"), _tensor("customer", customer), _tensor("amount", 1.0)]
        body = {"id": f"r{len(self.serving.records)}", "parameters": {"event_time": at(hour).isoformat()}}
        inputs += [_tensor(name, value) for name, value in sent.items()]
        self.records.clear()
        status = asyncio.run(post(self.app, REF.dotted, json.dumps({**body, "inputs": inputs}).encode()))
        assert status == 200
        (record,) = self.records
        micros = int(at(hour if answered is None else answered).timestamp() * 1e6)
        self.serving.records.append(msgspec.structs.replace(record, asked_at_us=micros, logged_at_us=micros))

    def check(self) -> skew.Skew:
        """Compact and compare."""
        compact(self.platform, self.team, self.model)
        (found,) = skew.check(self.platform, self.team, self.model)
        return found

    def deploy(self, folder: Path) -> None:
        """Serve version 1."""
        served = Served("1", write_package(folder, Constant(0.2), [VIEW]), "cycle-1")
        example = pa.table({"amount": [1.0]})
        self.platform.registry.publish(Publication(REF.dotted, served.package, None, example))  # type: ignore[arg-type]
        inference = Inference(self.platform.online_store, lambda _, record: self.records.append(record))
        inference.models[REF.dotted] = ModelState(Route.build(DesiredState(REF.dotted, 1, served, None, 0), None))
        self.app = App(inference, lifespan=None, ready=lambda: True)  # type: ignore[arg-type]
        change(self.platform, REF, served, None, 0, actor="t", reason="t", cycle="cycle-1", now=at(0))

    def offline(self, customer: int, hour: float, created: float, spend: float, begun: float | None = None) -> None:
        """Write an offline row that nobody put online."""
        instant = pa.timestamp("us", "UTC")
        times = {EVENT_TIME: hour, CREATED_AT: created, BEGUN_AT: created if begun is None else begun}
        row = {
            "customer": pa.array([customer], pa.int64()),
            **{n: pa.array([at(h)], instant) for n, h in times.items()},
        }
        row |= {"country": pa.array(["DE"]), "orders": pa.array([9]), "spend": pa.array([spend])}
        row[DATE] = pa.array([at(hour).date()], pa.date32())
        self.platform.lake.append(view_table("shop", history), pa.table(row))

    def online(self, customer: int, hour: float, **values: Any) -> None:
        """Put a row online that the offline table does not have."""
        row = {"country": "DE", "orders": 1, "spend": 1.0} | values
        time = pa.array([at(hour)], pa.timestamp("us", "UTC"))
        columns = {name: pa.array([value]) for name, value in row.items()}
        table = pa.table({"customer": pa.array([customer], pa.int64()), EVENT_TIME: time, **columns})
        self.platform.online_store.write(VIEW.view, "customer", table)


def _tensor(name: str, value: Any) -> dict[str, Any]:
    datatype = {int: "INT64", str: "BYTES"}.get(type(value), "FP64")
    return {"name": name, "shape": [1], "datatype": datatype, "data": [value]}


async def post(app: App, model: str, body: bytes) -> int:
    """Ask an application for a model's answer in process; returns the status."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": f"/v2/models/{model}/infer", "headers": []}, receive, send)
    return int(sent[0]["status"])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop whose customer 1 bought at hours 1 and 2, known online since hour 3."""
    serving = LoggingServing()
    store = SqliteOnlineStore(path=str(tmp_path / "online.db"))
    platform = opened(tmp_path, at(0), online_store=store, serving=serving)
    put_contract(tmp_path / "orders.yaml")
    model = Model("large_orders", (history,), large_order, fit=None, skew=Skew(at_most=0.0))  # type: ignore[arg-type]
    shop = Shop(platform, Team("shop", tmp_path, (model,)), serving)
    shop.deploy(tmp_path / "package")
    shop.land((1, 1, 1.5, 10.0, "DE"), (1, 2, 2.5, 5.0, "DE"), (2, 2, 2.5, 7.0, "GB"), hour=3)
    yield shop
    platform.close()


def causes(found: skew.Skew) -> list[tuple[str, str, Any, Any, str]]:
    """Return each example as entity, feature, served, offline, cause."""
    return [(one.entity, one.feature, one.served, one.offline, one.cause) for one in found.examples]


def test_what_was_served_is_what_training_sees(shop: Shop) -> None:
    """Known, unknown and expired customers, before and after a new row: nothing differs."""
    for hour in (3.5, 4.5, 5.5):
        for customer in (1, 2, 99):
            shop.ask(customer, hour)
    shop.land((1, 6, 6.5, 2.0, "DE"), hour=7)
    shop.ask(1, 8)
    shop.ask(2, 26.5)  # older than a day by then
    found = shop.check()
    assert (found.rows, found.differing, found.passed, found.reason) == (11, 0, True, "0 of 11 rows differ")


def test_a_key_that_no_number_can_be_is_nobody(shop: Shop) -> None:
    """A caller may send any key: it has no offline row, as it had no online one, and the check goes on."""
    for key in ("9" * 20, "-" + "9" * 20, "9" * 5_000, "1.5", "nobody", "", 1):
        shop.ask(key, 3.5)
    found = shop.check()
    assert (found.rows, found.differing) == (7, 0), found.examples
    shop.ask(1, 5)
    assert shop.check().rows == 1, "the next check goes on behind it"


def test_hidden_keys_are_compared_all_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log holds pseudonyms: what is the same is, what differs is found, and the finding names no customer."""
    monkeypatch.setenv(personal.VARIABLE, "a secret that is long enough")
    file = shop.app._inference.models[REF.dotted].route.stable.served.package / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"personal": ["customer"]}))
    state = DesiredState(REF.dotted, 2, Served("1", file.parent, "cycle-1"), None, 0)
    shop.app._inference.models[REF.dotted] = ModelState(Route.build(state, None))
    for customer in (1, 2, 99):
        shop.ask(customer, 4)
    assert shop.check().differing == 0
    shop.offline(1, hour=4.2, created=4.4, spend=99.0)
    shop.ask(1, 5)
    shop.ask(2, 5)
    ((entity, *rest),) = causes(shop.check())
    assert rest == ["orders", 1, 9, "stale"]
    hidden = personal.pseudonyms().of("customer", 1)
    assert entity == f"customer {hidden}"
    logged = [json.loads(record.keys[0])["customer"] for record in shop.serving.records]
    assert logged[0] == logged[3] == hidden
    assert len(set(logged)) == 3


def test_an_answer_while_a_row_went_online_may_show_either(shop: Shop) -> None:
    """Between the beginning of the write and its end both the old and the new row are right."""
    shop.ask(1, 9, answered=7)  # the old row
    shop.land((1, 6, 6.2, 2.0, "DE"), hour=7)
    shop.ask(1, 9, answered=7)  # the new one
    assert shop.check().differing == 0


def test_what_is_online_and_not_offline_yet_waits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow store is written for a while: what was answered from it meanwhile is told once the rows are offline."""
    found: list[skew.Skew] = []
    go_offline = Keeping.go_offline

    def slowly(keeping: Keeping, *args: Any) -> int:
        shop.ask(2, 5)
        shop.ask(1, 5)
        shop.ask(2, 5)
        found.append(shop.check())
        assert skew.check(shop.platform, shop.team, shop.model) == []
        return go_offline(keeping, *args)

    monkeypatch.setattr(Keeping, "go_offline", slowly)
    shop.land((1, 4, 4.5, 3.0, "DE"), hour=5)
    assert [(one.rows, one.differing) for one in found] == [(1, 0)]
    after = shop.check()
    assert (after.rows, after.differing) == (2, 0)


def test_a_difference_of_before_is_told_while_rows_wait(shop: Shop) -> None:
    """Where rows always come, a materialization is always due: what it cannot explain any more is told."""
    shop.online(1, 2, country="DE", orders=1, spend=15.5)
    shop.ask(1, 5)
    shop.land_alone((2, 5.5, 5.5, 1.0, "GB"), hour=6)
    assert skew.check(shop.platform, shop.team, shop.model) == []
    shop.land((2, 5.6, 5.6, 1.0, "GB"), hour=7)
    shop.land_alone((2, 7.5, 7.5, 1.0, "GB"), hour=8)
    assert causes(shop.check()) == [("customer 1", "spend", 15.5, 15.0, "value")]


def test_a_view_that_fails_lets_nothing_wait(shop: Shop) -> None:
    """Rows that never follow explain nothing."""
    shop.online(1, 2, country="DE", orders=1, spend=15.5)
    shop.ask(1, 5)
    shop.land_alone((2, 5.5, 5.5, 1.0, "GB"), hour=6)
    failing.failed(shop.platform, shop.team, history, InvalidSpec("it breaks", "mend it"))
    assert causes(shop.check()) == [("customer 1", "spend", 15.5, 15.0, "value")]


def test_a_row_that_never_went_online_is_missing(shop: Shop) -> None:
    """The online store has lost what training knows."""
    shop.platform.online_store.drop(VIEW.view)
    shop.ask(1, 4)
    found = shop.check()
    assert not found.passed
    assert causes(found) == [("customer 1", "country", None, "DE", "missing")]


def test_an_older_row_online_is_stale(shop: Shop) -> None:
    """The newest offline row was never written online, though it was known before the answer."""
    shop.offline(1, hour=3.2, created=3.4, spend=99.0)
    shop.ask(1, 4)
    assert causes(shop.check()) == [("customer 1", "orders", 1, 9, "stale")]


def test_a_row_that_claims_to_have_been_known_is_late(shop: Shop) -> None:
    """An offline row is written after the answer with a time of creation before it: training would see the future."""
    shop.ask(1, 4)
    shop.offline(1, hour=3.2, created=3.4, begun=9, spend=99.0)
    assert causes(shop.check()) == [("customer 1", "orders", 1, 9, "late")]


def test_text_where_training_has_numbers_is_a_type(shop: Shop) -> None:
    """The online row holds a number as text."""
    shop.ask(1, 4)
    (record,) = shop.serving.records
    served = {**json.loads(record.features[0]), "spend": "15.0"}
    shop.serving.records[0] = msgspec.structs.replace(record, features=[json.dumps(served)])
    assert causes(shop.check()) == [("customer 1", "spend", "15.0", 15.0, "type")]


def test_a_row_served_before_training_knows_it_is_ahead(shop: Shop) -> None:
    """A row was online long before the offline table says that it was known."""
    shop.online(1, 3.2, country="DE", orders=9, spend=99.0)
    shop.ask(1, 4)
    shop.offline(1, hour=3.2, created=8, spend=99.0)
    assert causes(shop.check()) == [("customer 1", "orders", 9, 1, "ahead")]


def test_a_value_computed_otherwise_is_a_value(shop: Shop) -> None:
    """Online there is a number that no offline row has."""
    shop.online(1, 2, country="DE", orders=1, spend=15.5)
    shop.ask(1, 4)
    found = shop.check()
    assert causes(found) == [("customer 1", "spend", 15.5, 15.0, "value")]
    assert found.reason == (
        "1 of 1 rows differ (history: value 1); spend of customer 1 was served as 15.5 and is 15.0 offline: "
        "the value was computed otherwise, or sent by the caller"
    )


def test_rows_are_compared_once_and_the_verdict_is_the_newest(shop: Shop) -> None:
    """A check goes on where the last one ended; a version is blocked until a later check passes."""
    shop.online(1, 2, country="DE", orders=1, spend=15.5)
    shop.ask(1, 4)
    shop.check()
    assert skews.standing(shop.platform.ledger, REF, "1").startswith("skew: 1 of 1 rows differ")
    assert skew.check(shop.platform, shop.team, shop.model) == []
    (alarm,) = (one.alarm for one in standing(shop.platform.ledger))
    assert (alarm.cause, alarm.severity) == (f"skew:{REF}", "error")
    assert alarm.problem.startswith("version 1: skew: 1 of 1 rows differ")
    shop.online(1, 2, country="DE", orders=1, spend=15.0)
    shop.ask(1, 4.5)
    assert shop.check().rows == 1
    assert skews.standing(shop.platform.ledger, REF, "1") == ""
    assert standing(shop.platform.ledger) == []


@pytest.mark.parametrize("before", [False, True])
def test_an_answer_of_next_century_blinds_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    """What differs after it is found; also where a check ended in it ``before`` such rows were left out."""
    shop.ask(1, 4)
    shop.ask(1, 5)
    last = shop.serving.records[-1]
    ahead_us = int(at(4).replace(year=2111).timestamp() * 1e6)
    shop.serving.records[-1] = msgspec.structs.replace(last, event_time_us=ahead_us)
    shop.now(6)
    with monkeypatch.context() as patch:
        if before:
            patch.setattr("loopline.platform_core.monitor.drift.answers.MOST_AHEAD", timedelta(days=100_000))
        assert shop.check().rows == 1 + before
    shop.online(1, 6.5, country="DE", orders=1, spend=1e6)
    shop.ask(1, 7)
    found = shop.check()
    assert (found.rows, found.differing) == (1, 1)


def test_a_share_that_differs_may_be_allowed(shop: Shop) -> None:
    """The model says which share of rows may differ."""
    shop.team = replace(shop.team, models=(replace(shop.model, skew=Skew(at_most=0.5)),))
    shop.ask(1, 4)
    shop.online(1, 2, country="DE", orders=1, spend=15.5)
    shop.ask(1, 4.2)
    found = shop.check()
    assert (found.rows, found.differing, found.passed) == (2, 1, True)


def test_numbers_may_differ_by_the_relative_tolerance(shop: Shop) -> None:
    """Sums of floats may differ in their last bits; that is no skew."""
    shop.online(1, 2, country="DE", orders=1, spend=15.0 * (1 + 1e-9))
    shop.ask(1, 4)
    assert shop.check().differing == 0
