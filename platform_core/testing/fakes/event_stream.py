"""An event stream in memory, with gaps between its offsets."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from platform_core.contracts.event_stream import EventStream, Record, records_schema
from platform_core.errors import ContractBroken

if TYPE_CHECKING:
    import pyarrow as pa

GAP = 10
"""Offsets lie so far apart, so that nobody counts on the next one being one larger."""
Row = dict[str, Any]


class InMemoryEventStream(EventStream):
    """Records in lists, one a partition."""

    partitions: int = 2
    _held: dict[str, list[list[Row]]] = PrivateAttr(default_factory=dict)
    _news: threading.Condition = PrivateAttr(default_factory=threading.Condition)

    def ends(self, stream: str) -> Mapping[int, int]:
        """Count the records."""
        return {partition: len(rows) * GAP for partition, rows in enumerate(self._held.get(stream, ()))}

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Look, and look again when something was published."""
        import pyarrow as pa

        end = time.monotonic() + wait_seconds
        with self._news:
            while not (rows := list(self.behind(stream, offsets))[:limit]) and (left := end - time.monotonic()) > 0:
                self._news.wait(left)
        return pa.Table.from_pylist(rows, schema=records_schema())

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Add to the lists."""
        with self._news:
            held = self._held.setdefault(stream, [[] for _ in range(self.partitions)])
            for record in records:
                self.add(held, record)
            self._news.notify_all()

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
        partition = zlib.crc32(record.value if record.key is None else record.key) % self.partitions
        offset = len(held[partition]) * GAP
        place = {"partition": partition, "offset": offset, "next": offset + GAP}
        headers = json.dumps(dict(record.headers or {}))
        content = {"key": record.key, "value": record.value, "headers": headers, "at": datetime.now(UTC)}
        held[partition].append(place | content)
