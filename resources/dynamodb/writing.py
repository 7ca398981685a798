"""Conditional writes to DynamoDB: the newest event wins, whoever else writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

from loopline.resources.dynamodb.items import Item, Place, item_of, key_of, now_ms, number
from loopline.resources.dynamodb.retries import Insistence

T = TypeVar("T")
PUT = "attribute_not_exists(t) OR t <= :t OR g <= :now"
"""Of equal events the later write stays, so that asking again after a lost answer changes nothing."""
DELETE = "t <= :t AND (attribute_not_exists(g) OR g > :now)"
MOST_DELETED = 25
"""Of one BatchWriteItem."""


class Put(NamedTuple):
    """A row, and up to which event (µs) it replaces another."""

    place: Place
    event_time_us: int
    packed: bytes
    gone_ms: int | None
    until_us: int


class Delete(NamedTuple):
    """A row that goes if its event is not after ``until_us``."""

    place: Place
    until_us: int


class Writer:
    """Writes with several threads, of which the pace lets some be underway."""

    def __init__(self, insistence: Insistence, workers: int) -> None:
        self._insistence, self._workers = insistence, workers
        self._client, self._name = insistence.table.client, insistence.table.name

    def run(self, changes: Iterable[Put | Delete], how_many: int) -> int:
        """Carry changes out; returns how many were.

        Raises:
            StoreUnavailable: the service took nothing for too long. What was written before stays.
        """
        return sum(self._each(self._change, changes, how_many))

    def forget(self, parts: Sequence[str]) -> None:
        """Delete every item under these partition keys."""
        self._each(self._empty, parts, len(parts))

    def _each(self, do: Callable[[T], int], given: Iterable[T], how_many: int) -> list[int]:
        """Do each with several threads, which take from one iterator; the first failure ends all."""
        lock, left = threading.Lock(), iter(given)

        def work() -> int:
            done = 0
            try:
                while not self._insistence.is_given_up:
                    with lock:
                        one = next(left, None)
                    if one is None:
                        break
                    done += do(one)
            except BaseException:
                self._insistence.is_given_up = True
                raise
            return done

        workers = min(self._workers, how_many)
        if workers < 2:  # noqa: PLR2004 - one needs no thread beside ours
            return [work()]
        with ThreadPoolExecutor(workers, "dynamodb-write") as pool:
            futures = [pool.submit(work) for _ in range(workers)]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._insistence.is_given_up = True
                raise

    def _change(self, change: Put | Delete) -> int:
        """Put or delete one; says whether it was done."""
        values = {":t": number(change.until_us), ":now": number(now_ms())}
        asked: Item = {"TableName": self._name, "ExpressionAttributeValues": values}
        if isinstance(change, Put):
            item = item_of(change.place, change.event_time_us, change.packed, change.gone_ms)
            said = self._insistence.ask(self._client.put_item, **asked, Item=item, ConditionExpression=PUT)
        else:
            asked |= {"Key": key_of(change.place), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
            said = self._insistence.ask(self._client.delete_item, **asked, ConditionExpression=DELETE)
        self._insistence.took()
        is_gone = isinstance(change, Delete) and said.unsure and not said.held  # the lost answer was most likely that
        return int(said.answer is not None or is_gone)

    def _empty(self, part: str) -> int:
        """Delete what lies under a partition key; says how much it was."""
        found, deleted = self._keys(part), 0
        while keys := list(islice(found, MOST_DELETED)):
            self._delete([{"DeleteRequest": {"Key": key}} for key in keys])
            deleted += len(keys)
        return deleted

    def _delete(self, requests: list[Item]) -> None:
        tries = 0
        while requests:
            asked = {self._name: requests}
            said = self._insistence.ask(self._client.batch_write_item, "UnprocessedItems", RequestItems=asked)
            before, requests = len(requests), said.answer["UnprocessedItems"].get(self._name, [])
            if len(requests) < before:
                self._insistence.took()
                tries = 0
            else:
                self._insistence.left(tries := tries + 1)

    def _keys(self, part: str) -> Iterator[Item]:
        asked: Item = {
            "TableName": self._name,
            "KeyConditionExpression": "v = :v",
            "ExpressionAttributeValues": {":v": {"S": part}},
            "ProjectionExpression": "v, k",
            "ConsistentRead": True,
        }
        while True:
            page = self._insistence.ask(self._client.query, "Items", **asked).answer
            self._insistence.took()
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
