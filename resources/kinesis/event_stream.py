"""Event stream on Amazon Kinesis: a partition is a shard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.event_stream import EventStream, Read, Record, records_table
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.resources.aws import client as aws
from loopline.resources.aws.client import make_client
from loopline.resources.aws.failure import cause, client_errors, code, failure
from loopline.resources.kinesis import publishing
from loopline.resources.kinesis.envelope import packed, unpacked
from loopline.resources.kinesis.places import Places
from loopline.resources.kinesis.tail import Reach, Tail

if TYPE_CHECKING:
    import pyarrow as pa

LOOK_SECONDS = 0.5
LONGEST_NAME = 128


class Shard(NamedTuple):
    """A shard, its number, and of which shards it took over."""

    name: str
    number: int
    parents: tuple[int, ...]


@dataclass
class _Opened:
    """What one process has: clients, the table, and tails by stream and shard."""

    kinesis: Any
    places: Places
    tails: dict[tuple[str, str], Tail] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    alone: threading.RLock = field(default_factory=threading.RLock)


class KinesisEventStream(EventStream):
    """Streams of an account and a region; ``team/source`` is the stream ``<prefix>team.source``.

    Offsets count a shard's records. ``table`` is a table of DynamoDB that says where they stand, since a sequence
    number is longer than an offset; it has the keys ``shard`` (text, hash) and ``offset`` (number, range), and one
    installation writes it. ``ends`` looks 10,000 records, or 64 MiB, ahead of who reads: of a longer backlog it tells
    the part that it has seen. A shard that came by splitting or merging is read when its parents are. Records whose
    key is no text, or that have headers or no value, are written in an envelope. What is published in one call keeps
    the order of a key, for a request each; what was published twice, because an answer was lost, is there twice.
    A stream that is not there is made with ``partitions`` shards.
    """

    extras = ("aws",)
    table: str
    region: str | None = None
    endpoint_url: str | None = None
    prefix: str = ""
    partitions: int = Field(default=1, ge=1)
    timeout_seconds: float = 30.0
    reads_per_second: float = Field(default=4.0, gt=0)
    _process: OneAProcess[_Opened] | None = PrivateAttr(default=None)

    def ends(self, stream: str) -> Mapping[int, int]:
        """Look at each shard as far ahead as it is held."""
        name, mine = self._named(stream), self._opened()
        with mine.alone:
            found = {}
            for shard in self._shards(name):
                tail = mine.tails.get((name, shard.name)) or self._tail(name, shard, self._last(name, shard))
                tail.look()
                found[shard.number] = tail.end
            return found

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read shards, each an equal share of the limit; look again until there is a record or the time is over."""
        until, name = time.monotonic() + wait_seconds, self._named(stream)
        while True:
            with self._opened().alone:
                rows = list(self._rows(name, offsets, limit))
            left = until - time.monotonic()
            if rows or left <= 0:
                return records_table(rows)
            time.sleep(min(LOOK_SECONDS, left))

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Put records, those of one key one after the other."""
        name, entries = self._named(stream), [packed(record) for record in records]
        publishing.check_sizes(name, entries)
        self._make(name)
        for wave in publishing.waves(entries):
            publishing.put(self._opened().kinesis, name, wave, self.timeout_seconds)

    def _rows(self, name: str, offsets: Mapping[int, int], limit: int) -> Iterator[Read]:
        shards = self._shards(name)
        _refuse_unknown(name, offsets, shards)
        tails = {shard.number: self._tail(name, shard, offsets.get(shard.number, 0)) for shard in shards}
        read = [tails[shard.number] for shard in shards if not _waits(shard, tails, offsets)]
        numbers = {id(tails[shard.number]): shard.number for shard in shards}
        for at, tail in enumerate(read):
            share = -(-limit // (len(read) - at))
            rows = tail.rows(share)
            limit -= len(rows)
            yield from (_row(numbers[id(tail)], offset, held) for offset, held in rows)

    def _tail(self, name: str, shard: Shard, offset: int) -> Tail:
        """Return a shard's tail from an offset on, with the newest that it has.

        Raises:
            ContractBroken: the offset is behind the newest record, or no longer kept.
        """
        mine = self._opened()
        tail = mine.tails.get((name, shard.name))
        if tail is None or not tail.has(offset):
            reach = Reach(mine.kinesis, mine.places, name, self.timeout_seconds, self.reads_per_second)
            mine.tails.pop((name, shard.name), None)
            tail = mine.tails[name, shard.name] = Tail(reach, shard.name, offset)
        tail.move(offset)
        tail.look()
        if offset > tail.end:
            raise _another(name, shard.number, offset, tail.end)
        return tail

    def _last(self, name: str, shard: Shard) -> int:
        place = self._opened().places.last(f"{name}/{shard.name}")
        return place.offset if place else 0

    def _shards(self, name: str) -> list[Shard]:
        """List the stream's shards, the oldest first; none where there is no such stream."""
        client, found, more = self._opened().kinesis, list[Any](), {"StreamName": name}
        while more:
            try:
                page = client.list_shards(**more)
            except client_errors() as error:
                if code(error) == "ResourceNotFoundException":
                    return []
                raise failure(error, f"stream {name}") from cause(error)
            found += page["Shards"]
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        return sorted((_shard(each) for each in found), key=lambda shard: shard.number)

    def _make(self, name: str) -> None:
        """Make the stream if it is not there, and wait until it takes records."""
        mine, until = self._opened(), time.monotonic() + self.timeout_seconds
        if name in mine.known:
            return
        while (status := self._status(name)) not in {"ACTIVE", "UPDATING"}:
            if not status:
                self._create(name)
            if time.monotonic() > until:
                raise StoreUnavailable(f"stream {name} is {status} for {self.timeout_seconds:g} s", "try again")
            time.sleep(0.2)
        mine.known.add(name)

    def _create(self, name: str) -> None:
        try:
            self._opened().kinesis.create_stream(StreamName=name, ShardCount=self.partitions)
        except client_errors() as error:
            if code(error) != "ResourceInUseException":  # another process was faster
                raise failure(error, f"stream {name}") from cause(error)

    def _status(self, name: str) -> str:
        try:
            found = self._opened().kinesis.describe_stream_summary(StreamName=name)
        except client_errors() as error:
            if code(error) == "ResourceNotFoundException":
                return ""
            raise failure(error, f"stream {name}") from cause(error)
        return str(found["StreamDescriptionSummary"]["StreamStatus"])

    def _named(self, stream: str) -> str:
        name = self.prefix + stream.replace("/", ".")
        if len(name) > LONGEST_NAME:
            raise ContractBroken(f"stream {name}: a name has at most {LONGEST_NAME} characters", "shorten the prefix")
        return name

    def _opened(self) -> _Opened:
        if self._process is None:
            self._process = OneAProcess(self._open)
        return self._process.get()

    def _open(self) -> _Opened:
        reach = aws.Reach(self.region, self.endpoint_url, min(self.timeout_seconds, 10.0))
        kinesis, table = (make_client(service, reach, "event_stream") for service in ("kinesis", "dynamodb"))
        return _Opened(kinesis, Places(table, self.table))


def _shard(said: Mapping[str, Any]) -> Shard:
    parents = [said[name] for name in ("ParentShardId", "AdjacentParentShardId") if said.get(name)]
    return Shard(said["ShardId"], _number(said["ShardId"]), tuple(map(_number, parents)))


def _number(shard: str) -> int:
    return int(shard.rpartition("-")[2])


def _waits(shard: Shard, tails: Mapping[int, Tail], offsets: Mapping[int, int]) -> bool:
    """Say whether a parent that is still there has records that were not read."""
    listed = [(tails[parent], offsets.get(parent, 0)) for parent in shard.parents if parent in tails]
    return any(not tail.closed or offset < tail.end for tail, offset in listed)


def _refuse_unknown(name: str, offsets: Mapping[int, int], shards: Sequence[Shard]) -> None:
    """Refuse offsets of shards that never were; one that is no longer listed was read, and let go."""
    newest = shards[-1].number if shards else -1
    for number, offset in offsets.items():
        if offset and number > newest:
            raise _another(name, number, offset, 0)


def _another(name: str, number: int, offset: int, end: int) -> ContractBroken:
    return ContractBroken(
        f"stream {name} ends at {end} in shard {number}, {offset} was asked for: the stream is another than it was",
        "declare a source of a new name",
    )


def _row(number: int, offset: int, held: Mapping[str, Any]) -> Read:
    import orjson

    record = unpacked(held["PartitionKey"], held["Data"])
    at = round(held["ApproximateArrivalTimestamp"].timestamp() * 1e6)
    headers = orjson.dumps(dict(record.headers or {})).decode()
    return Read(number, offset, offset + 1, record.key, record.value, headers, at)
