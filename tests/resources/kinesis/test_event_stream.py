"""Kinesis' promises on moto, which numbers records from 1 and has no limits; the rest is shown on a strict fake."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from loopline.platform_core import environment
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken, NotFound, StoreUnavailable, Unsupported
from loopline.platform_core.testing.event_stream import EventStreamKit, new_stream, placed, published
from loopline.resources.aws.client import Reach, make_client
from loopline.resources.kinesis.event_stream import KinesisEventStream, _Opened
from loopline.resources.kinesis.places import Places
from tests.emulators.aws import REGION, AwsServer
from tests.emulators.kinesis import Kinesis, kinesis

KEYS = [("shard", "S", "HASH"), ("offset", "N", "RANGE")]


def new_table(aws: AwsServer) -> str:
    """Make the table of places."""
    name = f"places-{uuid.uuid4().hex[:8]}"
    aws.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind, _ in KEYS],
        KeySchema=[{"AttributeName": key, "KeyType": role} for key, _, role in KEYS],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def bound(aws: AwsServer, **fields: Any) -> KinesisEventStream:
    """Bind a stream as an environment file does."""
    said = {"region": REGION, "endpoint_url": aws.url, "partitions": 3, "reads_per_second": 1000} | fields
    stream = environment.bind("event_stream", {"vendor": "kinesis"} | said)
    assert isinstance(stream, KinesisEventStream)
    return stream


class TestKinesisOnMoto(EventStreamKit):
    tested_on = "emulator: moto"

    @pytest.fixture
    def events(self, aws: AwsServer) -> Iterator[KinesisEventStream]:
        stream = bound(aws, table=new_table(aws))
        yield stream
        stream.close()


@pytest.fixture
def fake() -> Iterator[tuple[Kinesis, str]]:
    """Run a strict fake of the service."""
    with kinesis() as running:
        yield running


@pytest.fixture
def places(aws: AwsServer) -> str:
    """Make a table on moto, and give its name."""
    return new_table(aws)


class Split(KinesisEventStream):
    """A stream whose table is elsewhere than Kinesis: on moto, whose DynamoDB is what the table needs."""

    tables: str = ""

    def _open(self) -> _Opened:
        return _Opened(made("kinesis", self.endpoint_url), Places(made("dynamodb", self.tables), self.table))


@cache
def made(service: str, url: str) -> Any:
    """Make a client once: to make one takes longer than most tests."""
    return make_client(service, Reach(REGION, url), "event_stream")


@pytest.fixture
def events(fake: tuple[Kinesis, str], aws: AwsServer, places: str) -> Split:
    """Bind a stream of two shards to the fake."""
    return another(fake, aws, places)


def another(fake: tuple[Kinesis, str], aws: AwsServer, places: str, **fields: Any) -> Split:
    """Bind a stream as another process would."""
    said = {"region": REGION, "endpoint_url": fake[1], "tables": aws.url, "table": places, "partitions": 2}
    return Split(**said | {"reads_per_second": 1000} | fields)


class TestKinesisOnTheFake(EventStreamKit):
    """With numbers as long as the service's, empty answers, and all requests checked."""

    tested_on = "strict fake"


def numbers(rows: Any) -> list[int]:
    """Return the numbers in the order in which they came."""
    return [int(value) for value in rows["value"].to_pylist()]


def test_offsets_are_the_same_for_everybody(
    events: Split, fake: tuple[Kinesis, str], aws: AwsServer, places: str
) -> None:
    """A process that comes later, with nothing but the table, counts as the first did, from wherever it begins."""
    stream = published(events, 200)
    rows = placed(events.read(stream, {}, 999).to_pylist())
    assert len(rows) == 200
    later = another(fake, aws, places)
    assert later.ends(stream) == events.ends(stream)
    for partition in (0, 1):
        own = [row for row in rows if row["partition"] == partition]
        others = {p: end for p, end in events.ends(stream).items() if p != partition}
        for at in (0, 1, len(own) // 2, len(own) - 1):
            fresh = another(fake, aws, places)
            assert fresh.read(stream, others | {partition: own[at]["offset"]}, 999).to_pylist() == own[at:]


def test_children_are_read_when_their_parents_are(events: Split, fake: tuple[Kinesis, str]) -> None:
    """Splitting and merging, records of a key come in the order in which they were published, each once."""
    stream, (service, _) = new_stream(), fake
    name = stream.replace("/", ".")
    keys = [f"key {n}".encode() for n in range(8)]
    for turn in range(4):
        events.publish(stream, [Record(b"%d" % turn, key) for key in keys])
        if turn == 0:
            service.SplitShard(name, "shardId-000000000000", str(2**126))
        if turn == 1:
            service.MergeShards(name, "shardId-000000000002", "shardId-000000000003")
        if turn == 2:
            service.SplitShard(name, "shardId-000000000001", str(2**127 + 2**126))
    offsets: dict[int, int] = {}
    came: list[tuple[bytes, int]] = []
    while rows := events.read(stream, offsets, 3).to_pylist():
        came += [(row["key"], int(row["value"])) for row in rows]
        offsets |= {row["partition"]: row["next"] for row in rows}
    assert len(came) == 32
    assert all([turn for other, turn in came if other == key] == [0, 1, 2, 3] for key in keys)
    assert {p: end for p, end in events.ends(stream).items() if end} == offsets


def test_what_was_let_go_is_told(events: Split, fake: tuple[Kinesis, str], aws: AwsServer, places: str) -> None:
    """Records that nobody read before their retention was over are lost: that is an error, not a jump."""
    stream, (service, _) = new_stream(), fake
    events.publish(stream, [Record(b"%d" % n, b"key") for n in range(30)])
    [(partition, end)] = [(p, end) for p, end in events.ends(stream).items() if end]
    service.let_go(stream.replace("/", "."), partition, 10)
    for forgets in (False, True):
        service.forgets_sequences = forgets
        with pytest.raises(ContractBroken, match="no longer keeps what stands at 0"):
            another(fake, aws, places).read(stream, {partition: 0}, 99)
    assert end == 30


@pytest.mark.parametrize("forgets", [False, True])
def test_an_idle_stream_is_no_loss(
    forgets: bool, events: Split, fake: tuple[Kinesis, str], aws: AwsServer, places: str
) -> None:
    """All was read, and is let go; what comes later is read on, while nothing can have stood between the two."""
    stream, (service, _) = new_stream(), fake
    events.publish(stream, [Record(b"%d" % n, b"key") for n in range(5)])
    [partition] = [p for p, end in events.ends(stream).items() if end]
    service.let_go(stream.replace("/", "."), partition, 5)
    service.forgets_sequences = forgets
    events.publish(stream, [Record(b"5", b"key")])
    row = another(fake, aws, places).read(stream, {partition: 5}, 99).to_pylist()[0]
    assert (row["value"], row["offset"], row["next"]) == (b"5", 5, 6)
    service.let_go(stream.replace("/", "."), partition, 1)
    service.streams[stream.replace("/", ".")].retention_hours = 0
    with pytest.raises(ContractBroken, match="no longer keeps what stands at 5"):
        another(fake, aws, places).read(stream, {partition: 5}, 99)


def test_refused_entries_are_put_again_in_order(events: Split, fake: tuple[Kinesis, str]) -> None:
    """Every other entry is refused once: nothing is missing, nothing twice, no key out of order."""
    service, seen = fake[0], dict[str, int]()

    def refuses(key: str) -> bool:
        seen[key] = seen.get(key, 0) + 1
        return seen[key] % 2 == 1

    service.refuses_entry = refuses
    stream = new_stream()
    events.publish(stream, [Record(b"%d" % n, b"key %d" % (n % 3)) for n in range(12)])
    rows = events.read(stream, {}, 99).to_pylist()
    for key in (b"key 0", b"key 1", b"key 2"):
        own = [int(row["value"]) for row in rows if row["key"] == key]
        assert own == sorted(own)
        assert len(own) == 4


def test_a_stream_that_takes_nothing_is_told(fake: tuple[Kinesis, str], aws: AwsServer, places: str) -> None:
    """It is tried for as long as the time-out says."""
    fake[0].refuses_entry = lambda key: True
    with pytest.raises(StoreUnavailable, match=r"1 records were not taken in 0\.5 s"):
        another(fake, aws, places, timeout_seconds=0.5).publish(new_stream(), [Record(b"1", b"key")])


def test_old_iterators_and_throttled_reads_are_mended(
    events: Split, fake: tuple[Kinesis, str], aws: AwsServer, places: str
) -> None:
    """A shard takes five reads a second; one that is refused, or whose iterator is over, goes on where it was."""
    service = fake[0]
    stream = published(events, 20)
    offsets = {row["partition"]: row["next"] for row in events.read(stream, {}, 99).to_pylist()}
    service.expire_iterators()
    service.throttled_reads = 3
    events.publish(stream, [Record(b"20", b"key")])
    assert numbers(events.read(stream, offsets, 99)) == [20]
    service.holds_pace = True
    begun = time.monotonic()
    paced = another(fake, aws, places, reads_per_second=5)
    assert sorted(numbers(paced.read(stream, {}, 99))) == list(range(21))
    paced.read(stream, {}, 99, wait_seconds=0)
    assert time.monotonic() - begun > 0.3
    service.throttled_reads = 10_000
    with pytest.raises(StoreUnavailable, match="throttled"):
        another(fake, aws, places, timeout_seconds=0.3).read(stream, {}, 99)


def test_the_service_s_limits_are_held(events: Split, fake: tuple[Kinesis, str]) -> None:
    """A record beyond a mebibyte is refused with all that came with it; what is much goes in several requests."""
    stream, (service, _) = new_stream(), fake
    with pytest.raises(ContractBroken, match="1 records are too large"):
        events.publish(stream, [Record(b"small", b"key"), Record(b"x" * 1024 * 1024, b"key")])
    assert service.streams == {}
    events.publish(stream, [Record(b"%d" % n) for n in range(1100)])
    assert sorted(numbers(events.read(stream, {}, 9999))) == list(range(1100))
    events.publish(new_stream(), [Record(b"x" * 1_000_000, b"%d" % n) for n in range(12)])
    sizes = [len(said["Records"]) for name, said in service.asked if name == "PutRecords"]
    assert sizes == [500, 500, 100, 5, 5, 2]


def test_what_others_write_is_read_as_it_is(events: Split, fake: tuple[Kinesis, str]) -> None:
    """A producer of its own writes a blob under a key of text."""
    stream, (service, _) = new_stream(), fake
    events.publish(stream, [Record(b"ours", b"key")])
    with service.alone:
        data = base64.b64encode(b"theirs").decode()
        service.PutRecords(stream.replace("/", "."), [{"Data": data, "PartitionKey": "ключ"}])
    rows = {row["value"]: row["key"] for row in events.read(stream, {}, 9).to_pylist()}
    assert rows == {b"ours": b"key", b"theirs": "ключ".encode()}


def test_another_table_knows_no_places(events: Split, fake: tuple[Kinesis, str], aws: AwsServer) -> None:
    """An offset without the table by which it was counted is refused, not guessed."""
    stream = published(events, 20)
    ends = {p: end for p, end in events.ends(stream).items() if end}
    with pytest.raises(ContractBroken, match="the table of places knows nothing of it"):
        another(fake, aws, new_table(aws)).read(stream, ends, 9)


def test_groups_are_refused_with_what_to_use(events: Split) -> None:
    """Answers and places in one transaction are not to be had."""
    with pytest.raises(Unsupported, match="kafka"):
        events.join("t/s", "group")


def test_a_table_that_is_not_there(fake: tuple[Kinesis, str], aws: AwsServer) -> None:
    """Its name is told, and its keys."""
    lost = another(fake, aws, "nowhere")
    stream = new_stream()
    lost.publish(stream, [Record(b"1", b"key")])
    with pytest.raises(NotFound, match=r"table nowhere: .* → make it, with the keys shard"):
        lost.read(stream, {}, 9)
