"""In-memory event source."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_source import MALFORMED, REDACTS, Arrival, EventSource
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.foundation.names import LINE
from loopline.platform_core.testing.event_source import Delivery

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Content:
    """What was delivered."""

    name: str
    data: bytes
    arrived_at: datetime
    arrival_id: str = ""

    @property
    def arrival(self) -> Arrival:
        """Name it by its content, or as it was named when it came."""
        return Arrival(self.arrival_id or self.digest, self.name, self.arrived_at, self.digest)

    @property
    def digest(self) -> str:
        """Name the content."""
        return hashlib.sha256(self.data).hexdigest()


class InMemoryEventSource(EventSource):
    """CSV content in a list; ``contents`` is filled by ``InMemoryDelivery``."""

    can: ClassVar[frozenset[str]] = frozenset({REDACTS})

    _held: dict[str, list[Content]] = PrivateAttr(default_factory=dict)
    _came: Counter[tuple[str, str]] = PrivateAttr(default_factory=Counter)

    def contents(self, source: str) -> list[Content]:
        """Return what was delivered to a source."""
        return self._held.setdefault(source, [])

    def bring(self, source: str, content: Content) -> None:
        """Put content in the place of what has its name; content that was there before gets another id."""
        held = self.contents(source)
        before = next((each for each in held if each.name == content.name), None)
        if before is not None:
            held.remove(before)
        if before is not None and before.data == content.data:
            held.append(replace(content, arrival_id=before.arrival_id))
            return
        times = self._came[source, content.digest]
        self._came[source, content.digest] += 1
        again = hashlib.sha256(f"{content.digest}:{content.name}:{times}".encode()).hexdigest() if times else ""
        held.append(replace(content, arrival_id=again))

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List contents by time."""
        found = [content.arrival for content in sorted(self.contents(source), key=lambda c: (c.arrived_at, c.name))]
        return [arrival for arrival in found if arrival.arrival_id not in known][:limit]

    def redact(self, source: str, arrival: Arrival, lines: Collection[int], landed: Callable[[str], None]) -> None:
        """Put content without the lines in its place."""
        kept = next((each for each in self.contents(source) if each.arrival == arrival), None)
        if kept is None:
            return
        whole = enumerate(kept.data.splitlines(keepends=True), 1)
        left = replace(kept, data=b"".join(line for number, line in whole if number not in lines), arrival_id="")
        landed(left.arrival.arrival_id)
        self.contents(source).remove(kept)
        self.contents(source).append(left)

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read a content."""
        for content in self.contents(source):
            if content.arrival == arrival:
                return read_csv(content)
        raise NotFound(f"{arrival.name} is gone", "list arrivals again")


class InMemoryDelivery(Delivery):
    """Puts content into an ``InMemoryEventSource``."""

    def __init__(self, events: InMemoryEventSource) -> None:
        self.events = events

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Add to the list."""
        self.events.bring(source, Content(name, content, arrived_at))

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Keep it out of the list."""

    def holds(self, source: str, name: str) -> bool:
        """Look for the name."""
        return name in {content.name for content in self.events.contents(source)}


def read_csv(content: Content) -> pa.Table:
    """Read rows by the standard library."""
    import pyarrow as pa

    try:
        reader = csv.reader(io.StringIO(content.data.decode(), newline=""))
    except UnicodeDecodeError as error:
        raise ContractBroken(f"{content.name} is no text", "write UTF-8") from error
    header = next(reader, [])
    if not header or len(set(header)) < len(header):
        raise ContractBroken(f"{content.name} has no header of distinct names", "write one")
    columns: dict[str, list[str | int | None]] = {name: [] for name in [*header, LINE, MALFORMED]}
    line = reader.line_num + 1
    for row in reader:
        fits = len(row) == len(header)
        fields = [field or None for field in row] if fits else [None] * len(header)
        for name, value in zip(columns, [*fields, line, None if fits else ",".join(row)], strict=True):
            columns[name].append(value)
        line = reader.line_num + 1
    types = {name: pa.int64() if name == LINE else pa.string() for name in columns}
    return pa.table(columns, schema=pa.schema(types))
