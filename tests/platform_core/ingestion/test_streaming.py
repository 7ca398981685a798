"""Records of a stream become raw rows and dead letters, each once, and one bad record does not stop the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.event_stream import EventStream, Record
from loopline.platform_core.errors import CommitConflict, ContractBroken, InvalidEnvironment
from loopline.platform_core.ingestion.landing import land, pending
from loopline.platform_core.ingestion.letters.dead_letters import Replayed, dead_letters, replay
from loopline.platform_core.ingestion.streams.streaming import lag, land_stream
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from tests.platform_core.ingestion.conftest import DyingLake, Killed

POISON = [
    (b"no json", ["row.malformed"]),
    (b"[1, 2]", ["row.malformed"]),
    (b"\xff\xfe", ["row.malformed"]),
    (b"", ["row.malformed"]),
    (b"[" * 100_000, ["row.malformed"]),
    (b'{"Customer": 7, "Price": NaN}', ["row.malformed"]),
    (b'{"Customer": 7, "Price": "\\ud800"}', ["row.malformed"]),
    (b'{"Customer": 7}', ["price.required"]),
    (b"{}", ["customer.required", "price.required"]),
    (b'{"Customer": 7, "Price": 0.5}', ["price.minimum"]),
    (b'{"Customer": 7, "Price": {"amount": 3}}', ["price.parsable"]),
    (b'{"Customer": true, "Price": 3}', ["customer.parsable"]),
]


@pytest.fixture
def stream(shop: Any) -> InMemoryEventStream:
    """Let the shop's orders arrive as a stream."""
    shop.source = replace(shop.source, arrives="stream")
    stream = InMemoryEventStream()
    shop.platform.environment.bindings["event_stream"] = stream
    return stream


def order(price: object, customer: object = 7, **more: object) -> Record:
    """Write an order."""
    return Record(json.dumps({"Customer": customer, "Price": price, **more}).encode(), str(customer).encode())


def send(stream: EventStream, *prices: object, customers: int = 9) -> None:
    """Publish orders of a few customers, so that they are in several partitions."""
    stream.publish("shop/orders", [order(price, at % customers) for at, price in enumerate(prices)])


def test_records_land_with_what_the_platform_adds(shop: Any, stream: InMemoryEventStream) -> None:
    """A row says its partition and offset, and that it is known from now on, whenever it was published.

    Numbers are read as they are written: no float in between rounds a large one.
    """
    who = 2**60 + 1
    given = order(1.5, who, At="2020-01-01 23:59:59"), order(2, who), order("3.25", who, Extra=[1])
    stream.publish("shop/orders", given)
    landed = land_stream(*shop.args)
    assert (landed.arrivals, landed.rows, landed.dead, landed.refused, landed.version) == (3, 3, 0, (), 0)
    rows = shop.rows()
    assert [(row["customer"], row["price"]) for row in rows] == [(who, 1.5), (who, 2), (who, 3.25)]
    assert {row["_arrival"] for row in rows} <= {"stream:orders:0", "stream:orders:1"}
    assert [row["_line"] for row in rows] == [0, 10, 20]
    assert {row["_arrived_at"] for row in rows} == {shop.platform.clock.now()}
    assert [row["_date"] for row in rows] == [date(2020, 1, 1), date(2020, 1, 3), date(2020, 1, 3)]
    assert land_stream(*shop.args).arrivals == 0


def test_poison_is_set_aside_and_the_stream_goes_on(shop: Any, stream: InMemoryEventStream) -> None:
    """Each bad record is a letter with its reasons, and is published as it came; good ones around it land.

    The landing is one line in the ledger, which counts what all of its micro-batches brought.
    """
    for value, _ in POISON:
        stream.publish("shop/orders", [order(2), Record(value, b"poison"), order(3)])
    landed = land(*shop.args)
    assert (landed.rows, landed.dead) == (2 * len(POISON), len(POISON))
    assert land(*shop.args).arrivals == 0
    [entry] = shop.entries("arrival.landed")
    counted = entry.details["arrivals"], entry.details["rows"], entry.details["dead"]
    assert counted == (3 * len(POISON), 2 * len(POISON), len(POISON))
    letters = {(row["_arrival"], row["_line"]): row for row in shop.rows("shop/dead_letters/orders")}
    dead = stream.read("shop/orders.dead", {}, 100).to_pylist()
    said = {row["value"]: (row["key"].decode(), json.loads(row["headers"])) for row in dead}
    assert len(letters) == len(dead) == len(POISON)
    for value, reasons in POISON:
        letter_id, headers = said[value]
        letter = letters[f"stream:orders:{headers['partition']}", int(headers["offset"])]
        assert (letter["letter_id"], letter["reasons"]) == (letter_id, reasons)
        assert json.loads(headers["reasons"]) == reasons
        assert (headers["source"], headers["contract"]) == ("shop/orders", "1.0.0")


def test_a_batch_of_poison_alone_is_passed(shop: Any, stream: InMemoryEventStream) -> None:
    """No share of bad records, nor a column that is missing or retyped in all of them, refuses a stream."""
    stream.publish("shop/orders", [Record(b'{"Customer": 1}'), *(Record(b'{"Price": "x%d"}' % n) for n in range(9))])
    assert (land(*shop.args).dead, lag(*shop.args).total) == (10, 0)
    send(stream, 5)
    assert land(*shop.args).rows == 1


def test_a_letter_keeps_every_field_and_is_replayed(shop: Any, stream: InMemoryEventStream) -> None:
    """Under a mended contract it becomes a raw row; a field that nobody asked for yet is in the letter too."""
    stream.publish("shop/orders", [order(0.5, Note={"by": [1, 2.50]}), Record(b"no json"), order(2)])
    land(*shop.args)
    rows = {json.loads(letter["row"]).get("Price"): letter for letter in dead_letters(*shop.args).to_pylist()}
    kept = {"Customer": "7", "Price": "0.5", "Note": '{"by":[1,2.5]}'}
    assert json.loads(rows["0.5"]["row"]) == kept
    assert json.loads(rows[None]["row"]) == {"_malformed": "no json"}
    assert {letter["name"].rpartition(":")[0] for letter in rows.values()} == {"orders"}
    shop.contract("1.1.0", low=0)
    assert replay(*shop.args) == Replayed(1, 1)
    assert shop.prices() == [0.5, 2]
    assert replay(*shop.args) == Replayed(0, 1)
    assert land(*shop.args).arrivals == 0


def test_lag_counts_what_has_not_landed(shop: Any, stream: InMemoryEventStream) -> None:
    """It is per partition, and falls as batches land; what lags is pending."""
    assert (lag(*shop.args).behind, pending(*shop.args)) == ({}, [])
    send(stream, *range(1, 21))
    before = lag(*shop.args)
    assert before.behind == stream.ends("shop/orders")
    assert {arrival.name for arrival in pending(*shop.args)} == {"orders:0", "orders:1"}
    assert len(pending(*shop.args, limit=1)) == 1
    land_stream(*shop.args, limit=5)
    assert lag(*shop.args).total == before.total - 5 * 10
    assert land(*shop.args, limit=7).arrivals == 7
    assert land(*shop.args).rows == 8
    assert lag(*shop.args).behind == {0: 0, 1: 0}
    assert not pending(*shop.args)
    assert shop.prices() == list(range(1, 21))


def test_what_is_behind_but_no_record_is_not_pending(
    shop: Any, stream: InMemoryEventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run would find anything to land: a topic ends behind its newest record where a transaction was aborted."""
    ends = InMemoryEventStream.ends
    monkeypatch.setattr(InMemoryEventStream, "ends", lambda *of: {part: end + 1 for part, end in ends(*of).items()})
    send(stream, 1, 2)
    assert pending(*shop.args)
    assert land(*shop.args).rows == 2
    assert lag(*shop.args).total == 2
    assert not pending(*shop.args)
    assert land(*shop.args).arrivals == 0


def test_a_stream_that_is_another_is_refused(shop: Any, stream: InMemoryEventStream) -> None:
    """Offsets that it does not have are told of, rather than records mixed."""
    send(stream, 1, 2, 3)
    land(*shop.args)
    shop.platform.environment.bindings["event_stream"] = InMemoryEventStream()
    send(shop.platform.event_stream, 1)
    with pytest.raises(ContractBroken):
        land_stream(*shop.args)


def test_an_environment_without_a_stream_says_so(shop: Any, stream: InMemoryEventStream) -> None:
    """It names the file, and the line to add."""
    del shop.platform.environment.bindings["event_stream"]
    with pytest.raises(InvalidEnvironment, match="no vendor is bound for event_stream"):
        land(*shop.args)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2])
@pytest.mark.parametrize("low", [1, 0.1, 5])
@pytest.mark.parametrize("again", [False, True])
def test_a_kill_loses_and_doubles_nothing(  # noqa: PLR0913, PLR0917 - four ways to die
    shop: Any, stream: InMemoryEventStream, dies_at: int, behind: bool, low: float, again: bool
) -> None:
    """Wherever a landing dies, even twice, and whatever the contract says by then, each record is in one place once."""
    send(stream, 0.5, 2, 9, 0.5, 0.7, "x", 3, 4)
    with pytest.raises(Killed):
        land_stream(*shop.on(DyingLake(name=f"{shop.folder}", dies_at=dies_at, behind=behind)).args)
    shop.contract("1.1.0", low=low)
    send(stream, 3, 0.2)
    if again:
        with pytest.raises(Killed):
            land_stream(*shop.on(DyingLake(name=f"{shop.folder}", dies_at=1, behind=behind)).args)
    shop.on(InMemoryLake(name=f"{shop.folder}"))
    land(*shop.args)
    tables = [shop.rows(f"shop/{stage}/orders") for stage in ("raw", "dead_letters")]
    keys = [(row["_arrival"], row["_line"]) for rows in tables for row in rows]
    assert len(keys) == len(set(keys)) == 10
    published = {row["key"].decode() for row in stream.read("shop/orders.dead", {}, 100).to_pylist()}
    assert published == {letter["letter_id"] for letter in tables[1]}
    assert lag(*shop.args).total == 0


@pytest.mark.parametrize("bad", [0, 0.5])
def test_a_writer_that_was_overtaken_is_refused(
    shop: Any, stream: InMemoryEventStream, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes nothing, also no letter, and goes on from where the other one is."""
    others, read = list[Callable[[], Any]](), InMemoryEventStream.read

    def overtaken(*asked: Any, **more: Any) -> pa.Table:
        records = read(*asked, **more)
        while others:
            others.pop()()
        return records

    monkeypatch.setattr(InMemoryEventStream, "read", overtaken)
    send(stream, *([bad] if bad else []), *range(1, 11))
    others.append(lambda: land_stream(*shop.args, limit=8))
    with pytest.raises(CommitConflict, match="builds on"):
        land_stream(*shop.args)
    assert len(shop.rows()) + len(shop.rows("shop/dead_letters/orders")) == 8
    others.append(lambda: land_stream(*shop.args, limit=1))
    land(*shop.args)
    assert shop.prices() == list(range(1, 11))
    assert len(shop.rows("shop/dead_letters/orders")) == (1 if bad else 0)
