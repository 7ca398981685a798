"""A strict fake of Kinesis' server: what moto leaves out, or does otherwise than the service.

Requests are checked by botocore's own model of the service. Sequence numbers have 56 digits. A shard that was split or
merged keeps its records, and says when they are over. Answers are sometimes empty though more is there. Iterators end,
records are let go, entries of PutRecords and reads are refused when a test says so; limits of the service are held.
"""
# ruff: noqa: N802, N803 - operations and their members bear the service's names

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tests.emulators.http_server import Answer, Request, Serving, as_json

FIRST = 49590338271490256608559692538361571095921575989136588898
ALL_HASHES = 2**128
MIB = 1024 * 1024
PAGE = 2
READS_A_SECOND = 5
MODEL = ServiceModel(Loader().load_service_model("kinesis", "service-2"))


class RefusedError(Exception):
    """What the service says no to, by its own name."""


@dataclass
class Shard:
    """A shard: its hash range, parents, and records as ``(sequence, key, data, time)``."""

    number: int
    low: int
    high: int
    parents: tuple[str, ...] = ()
    records: list[tuple[int, str, str, float]] = field(default_factory=list)
    closed: bool = False
    given: int = 0
    reads: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"shardId-{self.number:012d}"


@dataclass
class Stream:
    """A stream's shards by name."""

    shards: dict[str, Shard]
    retention_hours: int = 24


class Kinesis:
    """The service: ``streams`` by name; tests set what goes wrong."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.alone = threading.Lock()
        self.asked: list[tuple[str, Any]] = []
        self.refuses_entry: Callable[[str], bool] = lambda key: False
        self.throttled_reads, self.holds_pace = 0, False
        self.forgets_sequences = False
        self._age, self._empty = 0, 0

    def expire_iterators(self) -> None:
        """End all that were given."""
        self._age += 1

    def let_go(self, stream: str, shard: int, count: int) -> None:
        """Let go of a shard's oldest records."""
        del self._shard(stream, f"shardId-{shard:012d}").records[:count]

    def answered(self, request: Request) -> Answer:
        """Answer one request of the JSON protocol."""
        said, name = json.loads(request.body or b"{}"), request.headers["X-Amz-Target"].rpartition(".")[2]
        try:
            _check(MODEL.operation_model(name).input_shape, said)
            with self.alone:
                self.asked.append((name, said))
                status, told = 200, getattr(self, name)(**said) or {}
        except RefusedError as refusal:
            status, told = 400, {"__type": str(refusal), "message": f"refused: {refusal}"}
        return as_json(status, told, kind="application/x-amz-json-1.1")

    def CreateStream(self, StreamName: str, ShardCount: int = 1) -> Any:
        if StreamName in self.streams:
            raise RefusedError("ResourceInUseException")
        step = ALL_HASHES // ShardCount
        lows = [n * step for n in range(ShardCount)]
        highs = [*(low - 1 for low in lows[1:]), ALL_HASHES - 1]
        made = [Shard(n, low, high) for n, (low, high) in enumerate(zip(lows, highs, strict=True))]
        self.streams[StreamName] = Stream({shard.name: shard for shard in made})

    def DescribeStreamSummary(self, StreamName: str) -> Any:
        stream = self._stream(StreamName)
        arn = f"arn:aws:kinesis:eu-central-1:123456789012:stream/{StreamName}"
        said = {"StreamName": StreamName, "StreamARN": arn, "StreamStatus": "ACTIVE", "EnhancedMonitoring": []}
        shards = sum(not shard.closed for shard in stream.shards.values())
        more = {"RetentionPeriodHours": stream.retention_hours, "StreamCreationTimestamp": time.time()}
        return {"StreamDescriptionSummary": said | more | {"OpenShardCount": shards}}

    def ListShards(self, StreamName: str = "", NextToken: str = "") -> Any:
        if bool(StreamName) == bool(NextToken):
            raise RefusedError("InvalidArgumentException")
        name, _, start = (NextToken or f"{StreamName}:0").partition(":")
        shards, at = list(self._stream(name).shards.values()), int(start)
        more = {"NextToken": f"{name}:{at + PAGE}"} if at + PAGE < len(shards) else {}
        return {"Shards": [_told(shard) for shard in shards[at : at + PAGE]]} | more

    def PutRecords(self, StreamName: str, Records: list[Any]) -> Any:
        sizes = [len(base64.b64decode(each["Data"])) + len(each["PartitionKey"].encode()) for each in Records]
        if len(Records) > 500 or sum(sizes) > 5 * MIB or max(sizes) > MIB:
            raise RefusedError("InvalidArgumentException")
        answers = [self._put(self._stream(StreamName), each) for each in Records]
        return {"Records": answers, "FailedRecordCount": sum("ErrorCode" in each for each in answers)}

    def GetShardIterator(
        self, StreamName: str, ShardId: str, ShardIteratorType: str, StartingSequenceNumber: str = ""
    ) -> Any:
        shard, kind = self._shard(StreamName, ShardId), ShardIteratorType
        if kind == "TRIM_HORIZON":
            after = 0
        else:
            after = int(StartingSequenceNumber) - (kind == "AT_SEQUENCE_NUMBER")
            known = any(record[0] == int(StartingSequenceNumber) for record in shard.records)
            if after + 1 < FIRST or (self.forgets_sequences and not known):
                raise RefusedError("InvalidArgumentException")
        return {"ShardIterator": f"{StreamName}:{ShardId}:{after}:{self._age}"}

    def GetRecords(self, ShardIterator: str, Limit: int = 10_000) -> Any:
        name, shard_id, after, age = ShardIterator.split(":")
        shard = self._shard(name, shard_id)
        self._hold_pace(shard, int(age))
        waiting = [record for record in shard.records if record[0] > int(after)]
        self._empty += 1
        given = [] if waiting and self._empty % 3 == 0 else waiting[: min(Limit, 40)]
        left = len(waiting) - len(given)
        at = given[-1][0] if given else int(after)
        over = {} if shard.closed and not left else {"NextShardIterator": f"{name}:{shard_id}:{at}:{self._age}"}
        return {"Records": [_record(each) for each in given], "MillisBehindLatest": left} | over

    def SplitShard(self, StreamName: str, ShardToSplit: str, NewStartingHashKey: str) -> Any:
        old = self._shard(StreamName, ShardToSplit)
        at = int(NewStartingHashKey)
        self._follow(StreamName, [old], [(old.low, at - 1), (at, old.high)])

    def MergeShards(self, StreamName: str, ShardToMerge: str, AdjacentShardToMerge: str) -> Any:
        both = [self._shard(StreamName, name) for name in (ShardToMerge, AdjacentShardToMerge)]
        self._follow(StreamName, both, [(min(one.low for one in both), max(one.high for one in both))])

    def _follow(self, name: str, old: list[Shard], ranges: list[tuple[int, int]]) -> None:
        if any(shard.closed for shard in old):
            raise RefusedError("ResourceInUseException")
        shards = self._stream(name).shards
        for low, high in ranges:
            shard = Shard(len(shards), low, high, tuple(each.name for each in old))
            shards[shard.name] = shard
        for shard in old:
            shard.closed = True

    def _put(self, stream: Stream, entry: Any) -> Any:
        key = entry["PartitionKey"]
        if self.refuses_entry(key):
            return {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
        place = int.from_bytes(hashlib.md5(key.encode()).digest())
        shard = next(each for each in stream.shards.values() if not each.closed and each.low <= place <= each.high)
        shard.given += 1
        sequence = FIRST + shard.number * 10**30 + shard.given * 131 + shard.given % 7
        shard.records.append((sequence, key, entry["Data"], time.time()))
        return {"SequenceNumber": str(sequence), "ShardId": shard.name}

    def _hold_pace(self, shard: Shard, age: int) -> None:
        if age != self._age:
            raise RefusedError("ExpiredIteratorException")
        now = time.monotonic()
        shard.reads = [*(at for at in shard.reads if now - at < 1), now]
        if self.throttled_reads or (self.holds_pace and len(shard.reads) > READS_A_SECOND):
            self.throttled_reads = max(0, self.throttled_reads - 1)
            raise RefusedError("ProvisionedThroughputExceededException")

    def _stream(self, name: str) -> Stream:
        if name not in self.streams:
            raise RefusedError("ResourceNotFoundException")
        return self.streams[name]

    def _shard(self, name: str, shard: str) -> Shard:
        shards = self._stream(name).shards
        if shard not in shards:
            raise RefusedError("ResourceNotFoundException")
        return shards[shard]


def _told(shard: Shard) -> Any:
    hashes = {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high)}
    said: dict[str, Any] = {"ShardId": shard.name, "HashKeyRange": hashes}
    said["SequenceNumberRange"] = {"StartingSequenceNumber": str(FIRST + shard.number * 10**30)}
    named = ("ParentShardId", "AdjacentParentShardId")
    return said | dict(zip(named, shard.parents, strict=False))


def _record(record: tuple[int, str, str, float]) -> Any:
    sequence, key, data, at = record
    return {"SequenceNumber": str(sequence), "PartitionKey": key, "Data": data, "ApproximateArrivalTimestamp": at}


@contextmanager
def kinesis() -> Iterator[tuple[Kinesis, str]]:
    """Answer at the URL that is given."""
    service = Kinesis()
    with Serving(service.answered) as server:
        yield service, server.url


def _check(shape: Any, said: Any) -> None:
    """Hold a request to the service's model: names, what is required, patterns, lengths and sizes."""
    if shape.type_name == "structure":
        if set(said) - set(shape.members) or set(shape.required_members) - set(said):
            raise RefusedError("ValidationException")
        for name, held in said.items():
            _check(shape.members[name], held)
    elif shape.type_name == "list":
        for held in said:
            _check(shape.member, held)
    elif shape.type_name in {"string", "integer"} and not isinstance(said, bytes):
        rules = shape.metadata
        size = len(said) if shape.type_name == "string" else said
        wrong = size < rules.get("min", 0) or size > rules.get("max", size)
        if wrong or (rules.get("pattern") and not re.fullmatch(rules["pattern"], said)):
            raise RefusedError("ValidationException")
