"""A worker lands a stream for as long as it runs, and what fails for a while does not end it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pydantic import PrivateAttr

from loopline.platform_core import alarms
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import InvalidSpec, StoreUnavailable
from loopline.platform_core.features.materialization.stream_worker import StreamWorker
from loopline.platform_core.foundation.names import view_table
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.letter_tally import Tallies
from loopline.platform_core.ingestion.streams.stream_metrics import StreamMetrics
from loopline.platform_core.specs import Team
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from tests.waiting import until


class Flickering(InMemoryEventStream):
    """Does not answer every other time."""

    _asked: int = PrivateAttr(default=0)

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Fail, then read."""
        self._asked += 1
        if self._asked % 2:
            raise StoreUnavailable("no answer", "wait", delay_seconds=0.01)
        return super().read(stream, offsets, limit, wait_seconds)


def breaks(rows: Any) -> Any:
    """Look well until rows come."""
    if len(rows.collect()):
        raise OSError("no disk")
    return rows.select("customer", "at", "price")


@pytest.fixture
def worker(shop: Any) -> StreamWorker:
    """Let orders arrive as a stream that flickers, with one view on them that works and one that does not."""
    shop.source = replace(shop.source, arrives="stream")
    shop.platform.environment.bindings["event_stream"] = Flickering()
    shop.platform.environment.bindings["online_store"] = InMemoryOnlineStore()
    broken = FeatureView("broken", shop.source, "customer", "at", breaks)
    paid = FeatureView("paid", shop.source, "customer", "at", lambda rows: rows.select("customer", "at", "price"))
    shop.team = Team("shop", shop.folder, features=(broken, paid))
    shop.said = []
    shop.worker = StreamWorker(*shop.args, shop.said.append, limit=4)
    return shop.worker


def send(worker: StreamWorker, *prices: object) -> None:
    """Publish orders."""
    orders = [
        {"Customer": price, "Price": price, "At": f"2020-01-02T00:00:0{at % 9}"} for at, price in enumerate(prices)
    ]
    worker.platform.event_stream.publish("shop/orders", [Record(json.dumps(order).encode()) for order in orders])


def features(worker: StreamWorker) -> int:
    """Count the rows of the view that works."""
    table = view_table("shop", worker.team.features[1])
    return 0 if worker.platform.lake.version(table) is None else len(worker.platform.lake.read(table))


def turned(worker: StreamWorker, records: int) -> None:
    """Let it take so many records, as often as its stream does not answer."""
    while worker.metrics.records < records:
        with contextlib.suppress(StoreUnavailable):
            worker.turn(0.0)


def test_once_lands_everything_and_ends(worker: StreamWorker, shop: Any) -> None:
    """Batches land one after another with the views behind them; a view that fails is told of and stops nothing."""
    send(worker, *range(1, 11), 0)
    worker.run(threading.Event(), once=True)
    assert shop.prices() == list(range(1, 11))
    assert features(worker) == 10
    assert (worker.metrics.records, worker.metrics.rows, worker.metrics.dead) == (11, 10, 1)
    assert worker.metrics.failures["StoreUnavailable"] >= 3
    assert any("no disk" in said for said in shop.said)


def test_it_follows_until_told_to_stop(worker: StreamWorker) -> None:
    """What is published while it waits has its features soon, and it ends within its wait."""
    stop = threading.Event()
    running = threading.Thread(target=worker.run, args=(stop,))
    running.start()
    try:
        for count in (1, 2):
            send(worker, count)
            until(lambda wanted=count: features(worker) >= wanted, seconds=120)
            assert features(worker) == count
    finally:
        stop.set()
        running.join(60)
    assert not running.is_alive()


def test_a_worker_that_comes_after_a_kill_brings_the_views_up(worker: StreamWorker, shop: Any) -> None:
    """Rows had landed, the views had not seen them, and nothing new comes."""
    send(worker, 1, 2)
    worker.platform.event_stream._asked += 1  # it would not answer the next time
    land(*shop.args)
    assert features(worker) == 0
    worker.run(threading.Event(), once=True)
    assert features(worker) == 2


def test_what_trying_again_does_not_help_ends_it(worker: StreamWorker, shop: Any) -> None:
    """A contract file that is wrong is the caller's to mend."""
    send(worker, 1)
    (shop.folder / "orders.yaml").write_text("schema: []")
    with pytest.raises(InvalidSpec):
        worker.run(threading.Event(), once=True)


def test_metrics_are_prometheus_text(worker: StreamWorker) -> None:
    """Lag by partition, counters, and the seconds of batches."""
    send(worker, 1, 2, 0)
    worker.run(threading.Event(), once=True)
    lines = worker.metrics.text().decode().splitlines()
    assert 'loopline_stream_lag_rows{source="shop/orders",partition="0"} 0' in lines
    assert 'loopline_stream_rows_total{source="shop/orders"} 2' in lines
    assert 'loopline_stream_dead_letters_total{source="shop/orders"} 1' in lines
    assert 'loopline_stream_batch_seconds_count{source="shop/orders"} 1' in lines
    assert any(line.startswith('loopline_stream_failures_total{source="shop/orders",kind="') for line in lines)


def test_buckets_add_up() -> None:
    """A batch is counted in its own bucket and in every larger one."""
    metrics = StreamMetrics("a/b")
    for seconds in (0.01, 0.3, 99):
        metrics.took(seconds)
    lines = metrics.text().decode().splitlines()
    counted = [line.rpartition(" ")[2] for line in lines if "_bucket{" in line]
    assert counted == ["1", "1", "1", "2", "2", "2", "2", "2", "2", "3"]
    assert 'loopline_stream_batch_seconds_sum{source="a/b"} 99.310000000' in lines


def test_what_a_worker_lands_is_told_to_the_ledger(worker: StreamWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and letters, now and then while it runs and at its end; and that most records were dead letters."""
    send(worker, *["odd"] * 30, 1, 2)
    worker.run(threading.Event(), once=True)
    [tally] = Tallies().newest(worker.platform.ledger)
    assert (tally.rows, tally.letters, tally.reasons["price.parsable"]) == (2, 30, 30)
    [alarm] = alarms.standing(worker.platform.ledger)
    assert "30 of 32 rows of the newest records of orders broke the contract" in alarm.alarm.problem
    monkeypatch.setattr("loopline.platform_core.features.materialization.stream_worker.LEDGER_SECONDS", 0)
    monkeypatch.setattr("loopline.platform_core.features.materialization.stream_worker.LAG_SECONDS", 0)
    send(worker, 3, "odd")
    turned(worker, 34)
    [tally] = Tallies().newest(worker.platform.ledger)
    assert (tally.rows, tally.letters) == (3, 31)


def test_a_worker_that_is_killed_is_told_of_by_the_next(worker: StreamWorker, shop: Any) -> None:
    """What it landed and could not tell is told when another begins, or when the sensor lands the stream."""
    send(worker, 1, "odd")
    turned(worker, 2)
    assert worker.platform.ledger.entries(kinds=["arrival.landed"]) == []
    StreamWorker(*shop.args, print).run(threading.Event(), once=True)
    [tally] = Tallies().newest(worker.platform.ledger)
    assert (tally.rows, tally.letters) == (1, 1)
