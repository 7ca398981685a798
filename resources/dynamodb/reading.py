"""Batched reads by key from DynamoDB: a hundred a request, several at once, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import LooplineError, NotFound, StoreUnavailable
from loopline.resources.aws.failure import cause, client_errors, failure, is_worth_another_try
from loopline.resources.aws.pace import pause_seconds
from loopline.resources.dynamodb.items import Item, Place, key_of, rows_of
from loopline.resources.dynamodb.table import Table

MOST_KEYS = 100
"""Of one BatchGetItem."""
_LONGEST_PAUSE_SECONDS = 0.2
Rows = Mapping[Place, OnlineRow]
Places = Sequence[Place | None]


@dataclass(frozen=True)
class Reader:
    """Reads rows with this process's threads, consistently: what was written before is seen."""

    table: Table
    pool: ThreadPoolExecutor
    timeout_seconds: float

    def rows(self, places: Iterable[Place | None]) -> Rows:
        """Read the rows that there are.

        Raises:
            StoreUnavailable: they did not come in time.
        """
        end, told = time.monotonic() + self.timeout_seconds, list[LooplineError]()
        batches = self._asked(places, end, told)
        try:
            return _merged([batch.result(max(0, end - time.monotonic())) for batch in batches])
        except TimeoutError as error:
            raise self._late(told) from error
        finally:
            _cancel(batches)

    async def rows_soon(self, places: Iterable[Place | None]) -> Rows:
        """Read as ``rows`` does, while the event loop goes on."""
        end, told = time.monotonic() + self.timeout_seconds, list[LooplineError]()
        batches = self._asked(places, end, told)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return _merged(await asyncio.gather(*map(asyncio.wrap_future, batches)))
        except TimeoutError as error:
            raise self._late(told) from error
        finally:
            _cancel(batches)

    def _asked(self, places: Iterable[Place | None], end: float, told: list[LooplineError]) -> list[Future[Rows]]:
        """Ask for each place once: the service refuses a request that names one twice."""
        unique = [place for place in dict.fromkeys(places) if place is not None]
        batches = [unique[at : at + MOST_KEYS] for at in range(0, len(unique), MOST_KEYS)]
        return [self.pool.submit(self._batch, batch, end, told) for batch in batches]

    def _batch(self, places: Sequence[Place], end: float, told: list[LooplineError]) -> Rows:
        """Ask until every key is answered: a part may be left for another request, by size or by throttling.

        Why a request failed is ``told``, since whoever waits may stop waiting within the next one.
        """
        left, items, tries = [key_of(place) for place in places], list[Item](), 0
        while True:
            found, left, why = self._some(left)
            told += [why] if why else []
            items += found
            if not left:
                return rows_of(items)
            tries = 0 if found else tries + 1
            pause = pause_seconds(tries, _LONGEST_PAUSE_SECONDS)
            if time.monotonic() + pause >= end:
                raise why or self._late(told)
            time.sleep(pause)

    def _some(self, keys: list[Item]) -> tuple[list[Item], list[Item], LooplineError | None]:
        """Ask once: gives items, keys to ask for again, and why."""
        name = self.table.name
        try:
            answer = self.table.client.batch_get_item(RequestItems={name: {"Keys": keys, "ConsistentRead": True}})
        except client_errors() as error:
            told = failure(error, f"reading DynamoDB's table {name!r}")
            if isinstance(told, NotFound) and self.table.create:
                return [], [], None  # nobody has written yet
            if is_worth_another_try(error):
                return [], keys, told
            raise self.table.told(told) from cause(error)
        if "Responses" not in answer:
            return [], keys, None  # something on the way answered, and boto3 takes what it cannot read for nothing
        left: dict[str, Any] = answer.get("UnprocessedKeys", {}).get(name, {})
        return answer["Responses"].get(name, []), left.get("Keys", []), None

    def _late(self, told: Sequence[LooplineError]) -> StoreUnavailable:
        last = f"; a request before said: {told[-1].problem}" if told else ""
        problem = f"DynamoDB's table {self.table.name!r} did not answer within {self.timeout_seconds:g} s{last}"
        return StoreUnavailable(problem, "see whether it is throttled, and that the region is near; or wait longer")


class Ask(NamedTuple):
    """Places that one caller wants, and where their rows go."""

    places: Places
    rows: asyncio.Future[Rows]


class Trips:
    """Look-ups of concurrent requests travel together: those of the same turn of an event loop share requests."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waiting: list[Ask] = []
        self._underway: set[asyncio.Task[None]] = set()

    async def rows(self, places: Places) -> Rows:
        """Return the rows of places, perhaps among others.

        Raises:
            StoreUnavailable: they did not come in time.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._send)
        ask = Ask(places, loop.create_future())
        self._waiting.append(ask)
        return await ask.rows

    def _send(self) -> None:
        asks, self._waiting = self._waiting, []
        trip = asyncio.get_running_loop().create_task(self._go(asks))
        self._underway.add(trip)
        trip.add_done_callback(self._underway.discard)

    async def _go(self, asks: Sequence[Ask]) -> None:
        """Read for all of them; who gave up is left out."""
        try:
            rows = await self._reader.rows_soon(place for ask in asks if not ask.rows.done() for place in ask.places)
        except BaseException as error:
            told = error if isinstance(error, Exception) else StoreUnavailable("DynamoDB: it was closed", "ask again")
            for ask in asks:
                if not ask.rows.done():
                    ask.rows.set_exception(told)
            if not isinstance(error, Exception):
                raise
        else:
            for ask in asks:
                if not ask.rows.done():
                    ask.rows.set_result(rows)


def _merged(found: Sequence[Rows]) -> Rows:
    return found[0] if len(found) == 1 else {place: row for rows in found for place, row in rows.items()}


def _cancel(batches: Sequence[Future[Any]]) -> None:
    for batch in batches:
        batch.cancel()
