"""Writing so that the newest event stays, whoever else writes: each row on a condition of its own, many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from loopline.resources.aws.failure import cause, client_errors, code, failure, is_throttled, is_worth_another_try
from loopline.resources.aws.pace import Pace, pause_seconds
from loopline.resources.dynamodb.items import Item, Place, item_of, key_of, now_ms, number
from loopline.resources.dynamodb.table import Table

T = TypeVar("T")
PUT = "attribute_not_exists(t) OR t <= :t OR g <= :now"
"""Of equal events the later write stays, so that asking again after a lost answer changes nothing."""
DELETE = "t <= :t AND (attribute_not_exists(g) OR g > :now)"
MOST_DELETED = 25
"""Of one BatchWriteItem."""
_LONGEST_PAUSE_SECONDS = 2.0
_CONDITION = "ConditionalCheckFailedException"


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


class _Outcome(NamedTuple):
    """What the service said: None if the condition did not hold, of what it ``held``.

    ``unsure`` is whether an answer was lost before.
    """

    answer: Any
    held: Item
    unsure: bool


class Writer:
    """Writes with as many threads as the pace allows; gives up when nothing was taken for ``patience_seconds``."""

    def __init__(self, table: Table, pace: Pace, workers: int, patience_seconds: float) -> None:
        self._table, self._pace, self._workers, self._patience = table, pace, workers, patience_seconds
        self._taken_at = time.monotonic()
        self._stopped = False

    def run(self, changes: Iterable[Put | Delete], how_many: int) -> int:
        """Carry changes out; returns how many were.

        Raises:
            StoreUnavailable: the service took nothing for so long. What was written before stays.
        """
        return sum(self._each(self._change, changes, how_many))

    def forget(self, parts: Sequence[str]) -> None:
        """Delete every item under these partition keys."""
        list(self._each(self._empty, parts, len(parts)))

    def _each(self, do: Callable[[T], int], given: Iterable[T], how_many: int) -> list[int]:
        """Do each with several threads, which take from one iterator; the first failure ends all."""
        lock, left = threading.Lock(), iter(given)

        def work() -> int:
            done = 0
            try:
                while not self._stopped:
                    with lock:
                        one = next(left, None)
                    if one is None:
                        return done
                    done += do(one)
            except BaseException:
                self._stopped = True
                raise
            return done

        workers = min(self._workers, how_many)
        if workers < 2:  # noqa: PLR2004 - one needs no thread beside ours
            return [work()]
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(work) for _ in range(workers)]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._stopped = True
                raise

    def _change(self, change: Put | Delete) -> int:
        values = {":t": number(change.until_us), ":now": number(now_ms())}
        asked: Item = {"TableName": self._table.name, "ExpressionAttributeValues": values}
        if isinstance(change, Put):
            item = item_of(change.place, change.event_time_us, change.packed, change.gone_ms)
            said = self._insist(self._table.client.put_item, **asked, Item=item, ConditionExpression=PUT)
            return int(said.answer is not None)
        said = self._insist(
            self._table.client.delete_item,
            **asked,
            Key=key_of(change.place),
            ConditionExpression=DELETE,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return int(said.answer is not None or (said.unsure and not said.held))  # gone, by us most likely

    def _empty(self, part: str) -> int:
        """Delete what lies under a partition key."""
        found = self._keys(part)
        while keys := list(islice(found, MOST_DELETED)):
            left = [{"DeleteRequest": {"Key": key}} for key in keys]
            tries = 0
            while left:
                said = self._insist(self._table.client.batch_write_item, RequestItems={self._table.name: left})
                left, before = said.answer.get("UnprocessedItems", {}).get(self._table.name, []), len(left)
                if len(left) < before:
                    tries = 0
                    continue
                self._pace.throttled()
                time.sleep(pause_seconds(tries := tries + 1, _LONGEST_PAUSE_SECONDS))
        return 0

    def _keys(self, part: str) -> Iterator[Item]:
        asked: Item = {
            "TableName": self._table.name,
            "KeyConditionExpression": "v = :v",
            "ExpressionAttributeValues": {":v": {"S": part}},
            "ProjectionExpression": "v, k",
            "ConsistentRead": True,
        }
        while True:
            page = self._insist(self._table.client.query, **asked).answer
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _insist(self, call: Callable[..., Any], **asked: Any) -> _Outcome:
        """Ask until the service has decided, more slowly where it wants that."""
        tries, unsure = 0, False
        while True:
            try:
                with self._pace.slot():
                    answer = call(**asked)
            except client_errors() as error:
                if code(error) == _CONDITION:
                    self._took()
                    return _Outcome(None, getattr(error, "response", {}).get("Item") or {}, unsure)
                unsure |= not is_throttled(error)
                self._refused(error)
                time.sleep(pause_seconds(tries := tries + 1, _LONGEST_PAUSE_SECONDS))
            else:
                self._took()
                return _Outcome(answer, {}, unsure)

    def _took(self) -> None:
        self._taken_at = time.monotonic()
        self._pace.taken()

    def _refused(self, error: Exception) -> None:
        """Slow down, or give up."""
        told = self._table.told(failure(error, f"writing DynamoDB's table {self._table.name!r}"))
        if not is_worth_another_try(error) or self._stopped or time.monotonic() - self._taken_at > self._patience:
            raise told from cause(error)
        if is_throttled(error):
            self._pace.throttled()
