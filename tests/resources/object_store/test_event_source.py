"""Files in an object store keep the event source's promises, on S3, Cloud Storage and Azure's Blob storage."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
import pytest
from obstore.store import from_url

from loopline.platform_core.errors import ContractBroken, NotFound, StoreUnavailable
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.resources.object_store import arrival_pieces, delivery, landing_prefix
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.objects import Objects
from tests.emulators.store_faults import Fault, FaultProxy
from tests.emulators.stores import StoreServer

SOURCE = "t/s"
PART = b"x" * (6 << 20)
"""More than the least that a store takes as a part of an upload."""
Make = Callable[..., ObjectStoreEventSource]


class ObjectDelivery(delivery.ObjectDelivery):
    """Begins an upload in parts too, which conformance on somebody's account does not."""

    def __init__(self, place: str, options: Mapping[str, str]) -> None:
        super().__init__(place, {**options, "allow_http": "true"})
        config: Any = options
        self.store = from_url(place, config=config, client_options={"allow_http": True})
        self._begun: list[Any] = []

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Begin an upload in parts, and write drafts."""
        writer = obstore.open_writer(self.store, f"{source}/{name}.csv", buffer_size=5 << 20)
        writer.write(PART)
        self._begun.append(writer)
        super().unfinished(source, name, content)


@pytest.fixture
def place(store_server: StoreServer) -> str:
    """Name a prefix of the test's own."""
    return f"{store_server.place()}/landing"


@pytest.fixture
def make(store_server: StoreServer, place: str) -> Make:
    """Make sources of that prefix, as several processes would."""

    def made(**more: Any) -> ObjectStoreEventSource:
        return ObjectStoreEventSource.model_validate(
            {"url": place, "storage_options": {**store_server.options, "allow_http": "true"}, **more}
        )

    return made


@pytest.fixture
def events(make: Make) -> ObjectStoreEventSource:
    """Give a source."""
    return make()


@pytest.fixture
def deliver(store_server: StoreServer, place: str) -> ObjectDelivery:
    """Deliver there."""
    return ObjectDelivery(place, store_server.options)


class TestObjectStoreEventSource(EventSourceKit):
    """Every promise, on each."""

    tested_on = "emulator: Azurite, fake-gcs-server; and a real server: SeaweedFS"


def test_a_place_set_apart_is_gone_with_its_objects(
    make: Make, deliver: ObjectDelivery, store_server: StoreServer, place: str
) -> None:
    """Its files and what is remembered of them; another source's of the same name are not seen, and stay."""
    elsewhere = f"{store_server.place()}/state"
    events = make(state=elsewhere)
    deliver.whole(SOURCE, "theirs", b"id\n1", MORNING)
    with events.set_apart("kit-1") as apart, apart.set_apart("elsewhere") as below:
        assert names(apart) == names(below) == []
        for one in (apart, below):
            given: Any = one.kit_fixtures()["deliver"]
            given.whole(SOURCE, "ours", b"id\n2", MORNING)
            given.unfinished(SOURCE, "begun", b"id\n3")
            assert names(one) == ["ours.csv"]
            assert given.holds(SOURCE, "ours")
    assert names(events) == ["theirs.csv"]
    options = {**store_server.options, "allow_http": "true"}
    assert [Objects(url, options).listed("kit-1") for url in (place, elsewhere)] == [[], []]


def names(events: ObjectStoreEventSource) -> list[str]:
    """Name what is listed, by name."""
    return sorted(arrival.name for arrival in events.arrivals(SOURCE))


def test_known_objects_are_listed_and_not_read(
    make: Make, deliver: ObjectDelivery, faults: FaultProxy, store_server: StoreServer
) -> None:
    """Neither by the process that knows them nor by one that begins; one more object costs its own reading."""
    for number in range(20):
        deliver.whole(SOURCE, f"{number:02}", b"id\n%d" % number, MORNING + timedelta(minutes=number))
    options = {**store_server.options_at(faults.url), "allow_http": "true"}
    events = make(storage_options=options)
    first = events.arrivals(SOURCE)
    assert len(first) == 20
    faults.asked()
    for asks in (events, make(storage_options=options)):
        for _ in range(2):
            assert asks.arrivals(SOURCE) == first
        assert not [path for _, path in faults.asked() if ".csv" in path]
    deliver.whole(SOURCE, "20", b"id\n20", MORNING + timedelta(days=1))
    assert len(events.arrivals(SOURCE)) == 21
    assert len([path for _, path in faults.asked() if ".csv" in path]) == 1


@pytest.mark.parametrize("cloud", ["s3"])
def test_two_processes_name_arrivals_alike(make: Make, deliver: ObjectDelivery, cloud: str) -> None:
    """Whoever sees an object first names it, also where both do at once; and so does who begins from one piece."""
    one, other = make(), make()
    for number in range(12):
        deliver.whole(SOURCE, str(number), b"id\n%d" % (number % 3), MORNING + timedelta(minutes=number))
        first, second = (one, other) if number % 2 else (other, one)
        first._prefix(SOURCE).log.catch_up()
        second.arrivals(SOURCE)
        assert first.arrivals(SOURCE) == second.arrivals(SOURCE)
    assert len({arrival.arrival_id for arrival in one.arrivals(SOURCE)}) == 12
    assert make().arrivals(SOURCE) == one.arrivals(SOURCE)


@pytest.mark.parametrize("cloud", ["s3"])
def test_a_content_that_comes_twice_at_once_is_two(make: Make, deliver: ObjectDelivery, cloud: str) -> None:
    """The first bears the content's id, the other one of its own; also where both processes would name them."""
    one, other = make(), make()
    other.arrivals(SOURCE)
    for number in range(3):
        deliver.whole(SOURCE, str(number), b"id\n1", MORNING + timedelta(minutes=number))
    found = one.arrivals(SOURCE)
    assert found[0].arrival_id == found[0].content
    assert (len({each.arrival_id for each in found}), len({each.content for each in found})) == (3, 1)
    assert other.arrivals(SOURCE) == found
    stale = other._prefix(SOURCE)
    deliver.whole(SOURCE, "3", b"id\n2", MORNING + timedelta(minutes=3))
    new = [each for each in stale._listed() if each.key.endswith("3.csv")]
    assert len(one.arrivals(SOURCE)) == 4
    stale._take(new)  # it has not seen the other's piece, and finds its number taken
    assert other.arrivals(SOURCE) == one.arrivals(SOURCE) == make().arrivals(SOURCE)


@pytest.mark.parametrize("cloud", ["s3"])
def test_who_begins_reads_one_piece(
    make: Make, deliver: ObjectDelivery, cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's pieces are written once more in one; whoever has it has the rest from there."""
    monkeypatch.setattr(arrival_pieces, "MANY_PIECES", 3)
    events = make()
    for number in range(5):
        deliver.whole(SOURCE, str(number), b"id\n%d" % (number % 2), MORNING + timedelta(minutes=number))
        events.arrivals(SOURCE)
    read = []
    anew = make()
    log = anew._prefix(SOURCE).log
    whole = log.objects.read
    monkeypatch.setattr(log.objects, "read", lambda key: (read.append(key), whole(key))[1])
    assert anew.arrivals(SOURCE) == events.arrivals(SOURCE)
    assert [key.rpartition("/")[2] for key in read] == ["whole", "000000000004.jsonl", "000000000005.jsonl"]


def test_an_object_that_changed_is_another_arrival(events: ObjectStoreEventSource, deliver: ObjectDelivery) -> None:
    """What was listed cannot be read any more; what is there now is listed, and nothing once it is gone."""
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    before = events.arrivals(SOURCE)[0]
    deliver.whole(SOURCE, "a", b"id\n2", MORNING)
    with pytest.raises(NotFound, match="no longer what it was"):
        events.read(SOURCE, before)
    after = events.arrivals(SOURCE)[0]
    assert after.arrival_id != before.arrival_id
    assert events.read(SOURCE, after)["id"].to_pylist() == ["2"]
    deliver.store.delete(f"{SOURCE}/a.csv")
    assert not events.arrivals(SOURCE)
    with pytest.raises(NotFound):
        events.read(SOURCE, after)


@pytest.mark.parametrize("cloud", ["s3"])
def test_kinds_are_those_of_a_folder(events: ObjectStoreEventSource, deliver: ObjectDelivery, cloud: str) -> None:
    """Packed or not, at any depth, without marks and drafts; what is of no kind is refused by name when it is read."""
    deliver.put(f"{SOURCE}/dt=2020-01-01/a.csv.gz", gzip.compress(b"id\n1"))
    deliver.put(f"{SOURCE}/b c/ü.jsonl", b'{"id": 2}\n')
    deliver.put(f"{SOURCE}/sheet.xlsx", b"PK")
    for mark in ("_SUCCESS", "_delta_log/0.json", "folder", "x.csv.part", "dt=1/.hidden.csv"):
        deliver.put(f"{SOURCE}/{mark}", b"")
    assert names(events) == ["b c/ü.jsonl", "dt=2020-01-01/a.csv.gz", "sheet.xlsx"]
    found = {arrival.name: arrival for arrival in events.arrivals(SOURCE)}
    assert [events.read(SOURCE, found[name])["id"].to_pylist() for name in sorted(found)[:2]] == [["2"], ["1"]]
    with pytest.raises(ContractBroken, match=r"sheet\.xlsx is of no kind"):
        events.read(SOURCE, found["sheet.xlsx"])


@pytest.mark.parametrize("cloud", ["s3"])
def test_an_object_that_is_no_copy_arrived_when_it_was_written(
    events: ObjectStoreEventSource, deliver: ObjectDelivery, cloud: str
) -> None:
    """Also where what stands beside it is no time."""
    began = datetime.now(UTC) - timedelta(seconds=2)
    deliver.put(f"{SOURCE}/a.csv", b"id\n1")
    deliver.put(f"{SOURCE}/b.csv", b"id\n2", mtime="yesterday")
    for arrival in events.arrivals(SOURCE):
        assert began <= arrival.arrived_at <= datetime.now(UTC) + timedelta(seconds=2)


@pytest.mark.parametrize("cloud", ["s3"])
def test_many_new_objects_are_read_over_several_looks(
    events: ObjectStoreEventSource, deliver: ObjectDelivery, cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look ends in time with what it has read, and the next goes on."""
    monkeypatch.setattr(landing_prefix, "READ_SECONDS", -1)
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    assert not events.arrivals(SOURCE)
    monkeypatch.setattr(landing_prefix, "READ_SECONDS", 60)
    assert names(events) == ["a.csv"]


def test_names_that_grow_are_listed_from_the_last_one(
    make: Make, deliver: ObjectDelivery, faults: FaultProxy, store_server: StoreServer
) -> None:
    """Between lists of everything; a name that is not greater is seen at the next of those."""
    events = make(names_grow=True, list_all_seconds=3600, storage_options=store_server.options_at(faults.url))
    for name in ("2020-01-01", "2020-01-02"):
        deliver.whole(SOURCE, name, name.encode(), MORNING)
    assert len(names(events)) == 2
    for name in ("2020-01-03", "2019-12-31"):
        deliver.whole(SOURCE, name, name.encode(), MORNING)
    faults.asked()
    assert names(events) == ["2020-01-01.csv", "2020-01-02.csv", "2020-01-03.csv"]
    listing = [path for _, path in faults.asked() if "prefix=" in path and "arrivals" not in path]
    assert len(listing) == 1
    assert all("2020-01-02.csv" in path for path in listing)
    events._prefix(SOURCE).list_next()
    assert len(names(events)) == 4


def test_a_store_that_fails_is_told(
    make: Make, deliver: ObjectDelivery, faults: FaultProxy, store_server: StoreServer
) -> None:
    """A wrong secret is no empty source, nor is a bucket that is gone; an answer that was lost doubles nothing."""
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    with pytest.raises(StoreUnavailable, match="landing") as told:
        make(storage_options=store_server.wrong_secret()).arrivals(SOURCE)
    assert "give this identity the right" in told.value.fix
    bucket = f"going-{uuid.uuid4().hex[:8]}"
    store_server.make_bucket(bucket)
    gone = make(url=store_server.place(bucket))
    assert not gone.arrivals(SOURCE)
    store_server.drop_bucket(bucket)
    with pytest.raises(StoreUnavailable, match="bucket is gone"):
        gone.arrivals(SOURCE)
    far = make(storage_options={**store_server.options_at(faults.url), "allow_http": "true"})
    for status in (None, 500):
        with faults.fault(Fault("PUT", r"jsonl", times=1, passed_on=True, status=status)) as met:
            arrivals = [*_insisting(far)]
        assert met == [1]
        deliver.whole(SOURCE, "b", b"id\n1", MORNING + timedelta(hours=1))
    assert far.arrivals(SOURCE) == make().arrivals(SOURCE)
    assert arrivals[0] == far.arrivals(SOURCE)[0]
    assert len({arrival.arrival_id for arrival in far.arrivals(SOURCE)}) == 2


def _insisting(events: ObjectStoreEventSource) -> Iterator[Any]:
    """List as a sensor does, which looks again after a failure."""
    try:
        yield from events.arrivals(SOURCE)
    except StoreUnavailable:
        yield from events.arrivals(SOURCE)
