"""DynamoDB table that maps Kinesis sequence numbers to offsets.

A sequence number has up to 56 digits, an offset 19. So an offset counts a shard's records from the first that was ever
read, which is the same for whoever counts, and the table holds some of them: one a batch. It has the keys ``shard``
(text) and ``offset`` (number); ``expires`` (seconds since 1970) may be its time to live.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from loopline.resources.aws.failure import cause, client_errors, code, failure, translated_errors

KEPT_SECONDS = 400 * 86_400
"""Longer than the longest retention, which is a year."""


class Place(NamedTuple):
    """Behind ``sequence``, the number of the record before it, the record with this offset comes.

    ``seen_until``: at that time (seconds since 1970) nothing stood behind it; ``closed``: nothing ever will.
    """

    offset: int
    sequence: str
    seen_until: float = 0.0
    closed: bool = False


class Places:
    """The table, by DynamoDB's client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table
        self._missing = "make it, with the keys shard (text, hash) and offset (number, range)"

    def at_or_before(self, shard: str, offset: int) -> Place | None:
        """Return the last place that is known up to an offset."""
        return self._one(shard, "#o <= :o", offset, forward=False)

    def first(self, shard: str) -> Place | None:
        """Return the first place: it is behind the first record that was read."""
        return self._one(shard, "#o >= :o", 0, forward=True)

    def last(self, shard: str) -> Place | None:
        """Return the last place."""
        return self._one(shard, "#o >= :o", 0, forward=False)

    def begin(self, shard: str, sequence: str) -> bool:
        """Let a shard's count begin with a record; says whether it does, or another had begun elsewhere."""
        item = self._key(shard, 1) | {"sequence": {"S": sequence}, "expires": self._expires()}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#k)",
                ExpressionAttributeNames={"#k": "shard"},
            )
        except client_errors() as error:
            if code(error) != "ConditionalCheckFailedException":
                raise failure(error, f"table {self._table}", self._missing) from cause(error)
            found = self.first(shard)
            return found is not None and found.sequence == sequence
        return True

    def note(self, shard: str, place: Place) -> None:
        """Write a place down; whoever counts writes the same."""
        names = {"#s": "sequence", "#e": "expires"}
        values: dict[str, Any] = {":s": {"S": place.sequence}, ":e": self._expires()}
        said = "SET #s = :s, #e = :e"
        if place.seen_until:
            names["#u"], values[":u"], said = "seen", {"N": f"{place.seen_until:.3f}"}, said + ", #u = :u"
        if place.closed:
            names["#c"], values[":c"], said = "closed", {"BOOL": True}, said + ", #c = :c"
        with translated_errors(f"table {self._table}", self._missing):
            self._client.update_item(
                TableName=self._table,
                Key=self._key(shard, place.offset),
                UpdateExpression=said,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def _one(self, shard: str, condition: str, offset: int, *, forward: bool) -> Place | None:
        with translated_errors(f"table {self._table}", self._missing):
            found = self._client.query(
                TableName=self._table,
                KeyConditionExpression=f"#k = :k AND {condition}",
                ExpressionAttributeNames={"#k": "shard", "#o": "offset"},
                ExpressionAttributeValues={":k": {"S": shard}, ":o": {"N": str(offset)}},
                ScanIndexForward=forward,
                Limit=1,
                ConsistentRead=True,
            )["Items"]
        return _place(found[0]) if found else None

    def _key(self, shard: str, offset: int) -> dict[str, Any]:
        return {"shard": {"S": shard}, "offset": {"N": str(offset)}}

    def _expires(self) -> dict[str, str]:
        return {"N": str(int(time.time()) + KEPT_SECONDS)}


def _place(item: Any) -> Place:
    seen = float(item.get("seen", {}).get("N", 0))
    return Place(int(item["offset"]["N"]), item["sequence"]["S"], seen, bool(item.get("closed", {}).get("BOOL")))
