"""Online features in DynamoDB: an item a view and entity, written on condition that no newer event is there.

One table for all views; how its items look, and what of them is held against the service's limits, is in ``items``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.online_packing import pack_values
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.resources.aws.client import OneAProcess, Reach, make_client
from loopline.resources.aws.pace import Pace
from loopline.resources.dynamodb.insisting import Insistence
from loopline.resources.dynamodb.items import Lifetime, Place, Places, packed_rows
from loopline.resources.dynamodb.reading import Reader, Rows, Trips
from loopline.resources.dynamodb.table import Table
from loopline.resources.dynamodb.writing import Delete, Put, Writer

if TYPE_CHECKING:
    import pyarrow as pa

Asks = Sequence[tuple[str, Sequence[Key]]]
_AGAIN = 2
"""A try that hangs may take half the time, so that another fits in."""


class _Link(NamedTuple):
    """What a process holds open."""

    table: Table
    reader: Reader
    pace: Pace


class DynamodbOnlineStore(OnlineStore):
    """Rows of all views in the ``table`` of a region, each below ``<prefix><view>``.

    Credentials, and the region if none is set, are found by boto3's own chain. A read ends within
    ``timeout_seconds``; a write goes on while the service takes something every ``patience_seconds``. So many
    ``connections`` ask at once, as many read, and fewer write where the service throttles. ``create`` makes a table
    that is missing, billed by request.
    """

    table: str = Field("loopline-online", pattern=r"^[A-Za-z0-9_.-]{3,255}$")
    region: str | None = None
    endpoint_url: str | None = Field(None, pattern="^https?://")
    create: bool = False
    prefix: str = ""
    timeout_seconds: float = Field(1.0, gt=0)
    patience_seconds: float = Field(30.0, gt=0)
    connections: int = Field(16, gt=0)
    _links: OneAProcess[_Link] = PrivateAttr()
    _trips: dict[asyncio.AbstractEventLoop, Trips] = PrivateAttr(default_factory=dict)
    _places: dict[str, Places] = PrivateAttr(default_factory=dict)
    _is_there: bool = PrivateAttr(False)

    def model_post_init(self, context: object) -> None:
        """Connect when first asked."""
        super().model_post_init(context)
        self._links = OneAProcess(self._linked)

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Fetch rows by a hundred keys a request, consistently, several requests at once."""
        places = self._asked(asks)
        return _answers(places, self._links.get().reader.rows(place for each in places for place in each))

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

    def close(self) -> None:
        """Let every connection go."""
        self._trips.clear()
        link = self._links.taken()
        if link is not None:
            link.reader.pool.shutdown(wait=False, cancel_futures=True)
            link.table.client.close()

    def _asked(self, asks: Asks) -> list[list[Place | None]]:
        return [[*map(self._view(view).of, keys)] for view, keys in asks]

    def _view(self, view: str) -> Places:
        if view not in self._places:
            self._places[view] = Places(self.prefix, view)
        return self._places[view]

    def _writer(self) -> Writer:
        """Return what one call writes with; the first of a process makes the table if it may."""
        link = self._links.get()
        if self.create and not self._is_there:
            link.table.ensure()
            self._is_there = True
        return Writer(Insistence(link.table, link.pace, self.patience_seconds), self.connections)

    async def _trip(self) -> Trips:
        """Return the trips of the event loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._trips:
            link = self._links.made
            if link is None:  # boto3 takes half a second to load
                link = await loop.run_in_executor(None, self._links.get)
            for ended in [old for old in self._trips if old.is_closed()]:
                self._trips.pop(ended, None)
            self._trips.setdefault(loop, Trips(link.reader))
        return self._trips[loop]

    def _linked(self) -> _Link:
        reach = Reach(
            self.region,
            self.endpoint_url,
            self.timeout_seconds / _AGAIN,
            2 * self.connections,
            tries=1,  # asking again is ours: within a read's time, at a write's pace
        )
        table = Table(make_client("dynamodb", reach, f"DynamoDB's table {self.table!r}"), self.table, self.create)
        pool = ThreadPoolExecutor(self.connections, "dynamodb-read")
        return _Link(table, Reader(table, pool, self.timeout_seconds), Pace(self.connections))


def _answers(places: Sequence[Sequence[Place | None]], rows: Rows) -> list[list[OnlineRow | None]]:
    return [[None if place is None else rows.get(place) for place in each] for each in places]
