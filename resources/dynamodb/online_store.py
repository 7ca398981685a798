"""Online store on DynamoDB: one item a view and entity, written on condition that no newer event is there.

One table for all views; how its items look, and what of them is held against the service's limits, is in ``items``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.online_packing import pack_values
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.resources.aws.client import Reach, make_client
from loopline.resources.aws.pace import Pace
from loopline.resources.dynamodb.items import Lifetime, Place, Places, packed_rows
from loopline.resources.dynamodb.reading import Reader, Rows, Trips
from loopline.resources.dynamodb.retries import Insistence
from loopline.resources.dynamodb.table import Table
from loopline.resources.dynamodb.writing import Delete, Put, Writer

if TYPE_CHECKING:
    import pyarrow as pa

Asks = Sequence[tuple[str, Sequence[Key]]]
_READ_TRIES, _WRITE_TRIES = 2, 3
"""How many requests that hang fit into a read's time, and into a write's patience."""
MOST_NAME = 255
"""Letters of a table's name."""
_WRITE_SECONDS = 10.0
"""How long a request of a write may take at most."""


class _Pen(NamedTuple):
    """What a process writes with."""

    table: Table
    pace: Pace


class DynamodbOnlineStore(OnlineStore):
    """Rows of all views in the ``table`` of a region, each below ``<prefix><view>``.

    Credentials, and the region if none is set, are found by boto3's own chain. A read ends within
    ``timeout_seconds``; a write goes on while the service takes something every ``patience_seconds``. So many
    ``connections`` ask at once, as many read, and fewer write where the service throttles. ``create`` makes a table
    that is missing, billed by request.
    """

    extras = ("aws",)
    table: str = Field("loopline-online", pattern=r"^[A-Za-z0-9_.-]{3,255}$")
    region: str | None = None
    endpoint_url: str | None = Field(None, pattern="^https?://")
    create: bool = False
    prefix: str = ""
    timeout_seconds: float = Field(1.0, gt=0)
    patience_seconds: float = Field(30.0, gt=0)
    connections: int = Field(16, gt=0)
    _readers: OneAProcess[Reader] = PrivateAttr()
    _pens: OneAProcess[_Pen] = PrivateAttr()
    _trips: dict[asyncio.AbstractEventLoop, Trips] = PrivateAttr(default_factory=dict)
    _places: dict[str, Places] = PrivateAttr(default_factory=dict)
    _is_there: bool = PrivateAttr(False)

    def model_post_init(self, context: object) -> None:
        """Connect when first asked."""
        super().model_post_init(context)
        self._readers, self._pens = OneAProcess(self._new_reader), OneAProcess(self._new_pen)

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch rows by a hundred keys a request, consistently, several requests at once."""
        places = self._asked(asks)
        return _answers(places, self._readers.get().rows(place for each in places for place in each))

    async def fetch(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does, in threads; what is asked in the same turn of the event loop shares requests."""
        places = self._asked(asks)
        wanted = [place for each in places for place in each]
        return _answers(places, await (await self._trip()).rows(wanted) if wanted else {})

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity, one request a row; one that gives up leaves a part written."""
        writer, life = self._writer(), Lifetime(keep)
        kept = {key: row for key, row in newest(entity, rows).items() if not life.is_over(row)}
        packed = packed_rows(self._view(view), kept)
        puts = (Put(place, time_us, values, life.gone_ms(time_us), time_us) for place, time_us, values in packed)
        return writer.run(puts, len(packed))

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in place of what is void, one request a row; one that gives up leaves a part done."""
        writer, life, places = self._writer(), Lifetime(keep), self._view(view)
        changes: list[Put | Delete] = []
        for key, row, until_us in replacing(entity, rows, void, keep):
            values = b"" if row is None else pack_values(row.values)
            place = places.checked(key, values)
            if row is None:
                changes.append(Delete(place, until_us))
            else:
                changes.append(Put(place, row.event_time_us, values, life.gone_ms(row.event_time_us), until_us))
        return writer.run(changes, len(changes))

    def drop(self, view: str) -> None:
        """Forget a view: its items are looked for by its partition keys and deleted, which costs a write each."""
        self._writer().forget(self._view(view).parts)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[DynamodbOnlineStore]:
        """Give a table of its own, made for it and deleted: what belongs to a prefix could be found by a scan only."""
        place = self.with_settings(table=f"{self.table}-{name}"[-MOST_NAME:], create=True)
        place._writer()  # noqa: SLF001 - another of this class: its table is there before anybody reads
        try:
            yield place
        finally:
            place._pens.get().table.delete()  # noqa: SLF001 - another of this class
            place.close()

    def close(self) -> None:
        """Let every connection go."""
        self._trips.clear()
        reader, pen = self._readers.taken(), self._pens.taken()
        if reader is not None:
            reader.pool.shutdown(wait=False, cancel_futures=True)
            reader.table.client.close()
        if pen is not None:
            pen.table.client.close()

    def _asked(self, asks: Asks) -> list[list[Place | None]]:
        return [[*map(self._view(view).of, keys)] for view, keys in asks]

    def _view(self, view: str) -> Places:
        if view not in self._places:
            self._places[view] = Places(self.prefix, view)
        return self._places[view]

    def _writer(self) -> Writer:
        """Return what one call writes with; the first of a process makes the table if it may."""
        pen = self._pens.get()
        insistence = Insistence(pen.table, pen.pace, self.patience_seconds)
        if self.create and not self._is_there:
            insistence.repeat(pen.table.ensure)
            self._is_there = True
        return Writer(insistence, self.connections)

    async def _trip(self) -> Trips:
        """Return the trips of the event loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._trips:
            reader = self._readers.made
            if reader is None:  # boto3 takes half a second to load
                reader = await loop.run_in_executor(None, self._readers.get)
            for ended in [old for old in self._trips if old.is_closed()]:
                self._trips.pop(ended, None)
            self._trips.setdefault(loop, Trips(reader))
        return self._trips[loop]

    def _new_reader(self) -> Reader:
        table = self._reached(self.timeout_seconds / _READ_TRIES)
        return Reader(table, ThreadPoolExecutor(self.connections, "dynamodb-read"), self.timeout_seconds)

    def _new_pen(self) -> _Pen:
        table = self._reached(min(_WRITE_SECONDS, self.patience_seconds / _WRITE_TRIES))
        return _Pen(table, Pace(self.connections))

    def _reached(self, request_seconds: float) -> Table:
        """Make a client, which asks once: asking again is ours, within a read's time and at a write's pace."""
        reach = Reach(self.region, self.endpoint_url, request_seconds, self.connections, tries=1)
        return Table(make_client("dynamodb", reach, f"DynamoDB's table {self.table!r}"), self.table, self.create)


def _answers(places: Sequence[Sequence[Place | None]], rows: Rows) -> list[list[OnlineRow | None]]:
    return [[None if place is None else rows.get(place) for place in each] for each in places]
