"""In-memory event stream, with gaps between its offsets."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_stream import TRANSACTIONS, EventStream, Member, Record, records_schema
from loopline.platform_core.errors import CommitConflict, ContractBroken

if TYPE_CHECKING:
    import pyarrow as pa

GAP = 10
"""Offsets lie so far apart, so that nobody counts on the next one being one larger."""
Row = dict[str, Any]


@dataclass
class Group:
    """Where a group stands, and who is in it; ``epoch`` counts comings and goings."""

    offsets: dict[int, int] = field(default_factory=dict)
    members: list[InMemoryMember] = field(default_factory=list)
    epoch: int = 0


class InMemoryEventStream(EventStream):
    """Records in lists, one a partition."""

    can: ClassVar[frozenset[str]] = frozenset({TRANSACTIONS})

    partitions: int = 2
    _groups: dict[tuple[str, str], Group] = PrivateAttr(default_factory=dict)
    _held: dict[str, list[list[Row]]] = PrivateAttr(default_factory=dict)
    _condition: threading.Condition = PrivateAttr(default_factory=threading.Condition)

    @property
    def news(self) -> threading.Condition:
        """Have the lists to oneself; it is told of what is published."""
        return self._condition

    def ends(self, stream: str) -> Mapping[int, int]:
        """Count the records."""
        return {partition: len(rows) * GAP for partition, rows in enumerate(self._held.get(stream, ()))}

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Look, and look again when something was published."""
        import pyarrow as pa

        end = time.monotonic() + wait_seconds
        with self.news:
            while not (rows := list(self.behind(stream, offsets))[:limit]) and (left := end - time.monotonic()) > 0:
                self.news.wait(left)
        return pa.Table.from_pylist(rows, schema=records_schema())

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Add to the lists."""
        with self.news:
            held = self._held.setdefault(stream, [[] for _ in range(self.partitions)])
            for record in records:
                self.add(held, record)
            self.news.notify_all()

    def join(self, stream: str, group: str, member: str = "") -> Member:  # noqa: ARG002 - nobody dies here
        """Come to the others of a group."""
        with self.news:
            return InMemoryMember(self, stream, self._groups.setdefault((stream, group), Group()))

    def behind(self, stream: str, offsets: Mapping[int, int]) -> Iterator[Row]:
        """Yield the records from the offsets on."""
        ends = self.ends(stream)
        for partition, start in offsets.items():
            if start > ends.get(partition, 0):
                raise ContractBroken(f"{stream} has nothing at {start} of {partition}", "begin from the first record")
        for partition, rows in enumerate(self._held.get(stream, ())):
            yield from rows[-(-offsets.get(partition, 0) // GAP) :]

    def add(self, held: list[list[Row]], record: Record) -> None:
        """Put a record behind the others of its key's partition."""
        partition = zlib.crc32((record.value if record.key is None else record.key) or b"") % self.partitions
        offset = len(held[partition]) * GAP
        place = {"partition": partition, "offset": offset, "next": offset + GAP}
        headers = json.dumps(dict(record.headers or {}))
        content = {"key": record.key, "value": record.value, "headers": headers, "at": datetime.now(UTC)}
        held[partition].append(place | content)


class InMemoryMember(Member):
    """A member of a group; partitions are dealt out in turn."""

    def __init__(self, events: InMemoryEventStream, stream: str, group: Group) -> None:
        self.events, self.stream, self.group = events, stream, group
        self.taken: dict[int, int] = {}
        group.members.append(self)
        group.epoch += 1
        self.epoch = group.epoch

    def take(self, limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read what lies behind what was taken, of this member's partitions."""
        import pyarrow as pa

        with self.events.news:
            if self.moves != self.group.epoch:
                self.abandon()
                self.moves = self.group.epoch
            ends = self.events.ends(self.stream)
            rank, count = self.group.members.index(self), len(self.group.members)
            place = {p: end for p, end in ends.items() if p % count != rank}
            mine = {p: {**self.group.offsets, **self.taken}.get(p, 0) for p in ends.keys() - place.keys()}
        rows = self.events.read(self.stream, place | mine, limit, wait_seconds).to_pylist()
        rows = [row for row in rows if row["partition"] in mine]
        self.taken |= {row["partition"]: row["next"] for row in rows}
        return pa.Table.from_pylist(rows, schema=records_schema())

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        """Publish and move on, with the lists to oneself."""
        with self.events.news:
            if self.epoch != self.group.epoch:
                self.abandon()
                raise CommitConflict(f"{self.stream}: partitions have changed hands", "take again")
            for stream, records in out.items():
                self.events.publish(stream, records)
            self.group.offsets |= self.taken
            self.taken = {}

    def abandon(self) -> None:
        """Forget what was taken."""
        self.taken, self.epoch = {}, self.group.epoch

    def close(self) -> None:
        """Leave."""
        with self.events.news:
            if self in self.group.members:
                self.group.members.remove(self)
                self.group.epoch += 1
