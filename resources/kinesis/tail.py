"""Buffer of a Kinesis shard's newest records with their offsets, read on when asked for more."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

from loopline.platform_core.errors import CommitConflict, ContractBroken
from loopline.resources.aws.failure import cause, client_errors, code, failure, is_throttled
from loopline.resources.aws.pace import pause_seconds
from loopline.resources.kinesis.places import Place, Places

AHEAD, AHEAD_BYTES = 10_000, 64 * 1024 * 1024
"""Records that are held before somebody reads them, and bytes of them, at most."""
SEEN_SECONDS = 60.0
"""So often it is written down that nothing stands behind the last record."""
GONE = "InvalidArgumentException"
"""How Kinesis refuses a sequence number that it knows no more."""
_AT_ONCE = 10_000
_LONGEST_PAUSE_SECONDS = 1.0


class Reach(NamedTuple):
    """How a stream's shards are read: Kinesis' client, the table, the stream's name, and within which bounds."""

    client: Any
    places: Places
    stream: str
    timeout_seconds: float
    reads_per_second: float


class Tail:
    """Records from ``base`` on; ``at_end`` once Kinesis gave the newest, ``closed`` once it gave the very last."""

    def __init__(self, reach: Reach, shard: str, offset: int) -> None:
        self._reach, self._shard, self._named = reach, shard, f"{reach.stream}/{shard}"
        self._held: deque[Any] = deque()
        self._bytes, self._next_at, self._noted_at, self._noted = 0, 0.0, 0.0, -1
        self.base, self.at_end, self.closed = 0, False, False
        self._last = ""
        self._iterator: str | None = None
        self._find(offset)

    @property
    def end(self) -> int:
        """Return the offset behind the last record that is known."""
        return self.base + len(self._held)

    def has(self, offset: int) -> bool:
        """Say whether what stands at an offset is known, or is the next."""
        return self.base <= offset <= self.end

    def rows(self, limit: int) -> list[tuple[int, Any]]:
        """Return the first records with their offsets, as Kinesis has them."""
        count = min(limit, len(self._held))
        return [(self.base + at, self._held[at]) for at in range(count)]

    def move(self, offset: int) -> None:
        """Let go of what stands before an offset."""
        while self._held and self.base < offset:
            self._bytes -= len(self._held.popleft()["Data"])
            self.base += 1

    def look(self) -> None:
        """Read on up to the newest record, or as far ahead as is held; raises as ``EventStream.read``."""
        self.at_end, since = self.closed, time.time()
        while not self.at_end and len(self._held) < AHEAD and self._bytes < AHEAD_BYTES:
            since = time.time()
            self._take()
        self._note(since)

    def _find(self, offset: int) -> None:
        """Go to an offset by the last place that is known before it; stand at the end if there is no such record."""
        places = self._reach.places
        place = places.at_or_before(self._named, offset) or places.first(self._named)
        if place is None and offset:
            raise ContractBroken(
                f"stream {self._named}: the table of places knows nothing of it, {offset} was asked for",
                "name the table by which it was read before; without it nobody knows where that is",
            )
        if place is None:
            self._iterator = self._started("TRIM_HORIZON")
        elif not self._stands_behind(place, offset):
            self._go_past_what_was_let_go(place, offset)
        self.move(offset)
        while self.base < offset and not self.at_end:
            self.look()
            self.move(offset)

    def _stands_behind(self, place: Place, offset: int) -> bool:
        """Go to the record before a place; says whether it is still kept, and the offset not before it."""
        iterator = self._started("AT_SEQUENCE_NUMBER", place.sequence)
        if iterator is None or offset < place.offset - 1:
            return False
        self._iterator, self.base, self._last, self._noted = iterator, place.offset - 1, place.sequence, place.offset
        while not self._held and not self.at_end:
            self._take()
        if self._held and self._held[0]["SequenceNumber"] == place.sequence:
            return True
        self._held.clear()
        self._bytes = 0
        return False

    def _go_past_what_was_let_go(self, place: Place, offset: int) -> None:
        """Begin with what is kept, where nothing else can have stood behind the place.

        Raises:
            ContractBroken: records may have been there.
        """
        kept_since = time.time() - self._retention_seconds()
        if offset < place.offset or not (place.closed or place.seen_until > kept_since):
            raise ContractBroken(
                f"stream {self._named} no longer keeps what stands at {offset}",
                "records are lost to its retention; declare a source of a new name, and give the stream a longer one",
            )
        self.base, self._last = place.offset, place.sequence
        self.closed = self.at_end = place.closed
        if not place.closed:
            self._iterator = self._started("TRIM_HORIZON")

    def _take(self) -> None:
        """Take one answer."""
        answer = self._answer()
        records = answer["Records"]
        if records and not self._last and not self._reach.places.begin(self._named, records[0]["SequenceNumber"]):
            raise CommitConflict(f"stream {self._named}: another process began to count elsewhere", "read again")
        self._held.extend(records)
        self._bytes += sum(len(record["Data"]) for record in records)
        self._last = records[-1]["SequenceNumber"] if records else self._last
        self._iterator = answer.get("NextShardIterator")
        self.closed = self._iterator is None
        newest = answer.get("MillisBehindLatest", 0) == 0 and len(records) < _AT_ONCE
        self.at_end = self.closed or newest

    def _answer(self) -> Any:
        """Ask for records, as often a second as a shard allows; again while it is throttled, or its iterator is old."""
        until, tries = time.monotonic() + self._reach.timeout_seconds, 0
        while True:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + 1 / self._reach.reads_per_second
            try:
                return self._reach.client.get_records(ShardIterator=self._iterator, Limit=_AT_ONCE)
            except client_errors() as error:
                again = is_throttled(error) or code(error) == "ExpiredIteratorException"
                if not again or time.monotonic() > until:
                    raise failure(error, f"stream {self._named}") from cause(error)
                if is_throttled(error):
                    time.sleep(pause_seconds(tries + 3, _LONGEST_PAUSE_SECONDS))
                    tries += 1
                else:
                    self._iterator = self._behind_last()

    def _behind_last(self) -> str | None:
        return self._started("AFTER_SEQUENCE_NUMBER", self._last) if self._last else self._started("TRIM_HORIZON")

    def _started(self, kind: str, sequence: str = "") -> str | None:
        """Ask for an iterator; None where Kinesis knows the sequence number no more."""
        at = {"StartingSequenceNumber": sequence} if sequence else {}
        try:
            answer = self._reach.client.get_shard_iterator(
                StreamName=self._reach.stream, ShardId=self._shard, ShardIteratorType=kind, **at
            )
        except client_errors() as error:
            if sequence and code(error) == GONE:
                return None
            raise failure(error, f"stream {self._named}") from cause(error)
        return str(answer["ShardIterator"])

    def _note(self, since: float) -> None:
        """Write down where the end is, and that nothing was behind it at a time."""
        seen = self.at_end and time.monotonic() - self._noted_at > SEEN_SECONDS
        if self._last and (self.end != self._noted or seen):
            place = Place(self.end, self._last, since if self.at_end else 0.0, self.closed)
            self._reach.places.note(self._named, place)
            self._noted, self._noted_at = self.end, time.monotonic()

    def _retention_seconds(self) -> float:
        try:
            found = self._reach.client.describe_stream_summary(StreamName=self._reach.stream)
        except client_errors() as error:
            raise failure(error, f"stream {self._reach.stream}") from cause(error)
        return float(found["StreamDescriptionSummary"]["RetentionPeriodHours"]) * 3600
