"""Kinesis PutRecords within its limits; records of one key keep their order across retries."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.resources.aws.failure import translated_errors
from loopline.resources.aws.pace import pause_seconds
from loopline.resources.kinesis.envelope import Entry

MOST_BYTES = 1024 * 1024
"""Of one record, its partition key included."""
MOST_AT_ONCE, MOST_BYTES_AT_ONCE = 500, 5 * 1024 * 1024
_LONGEST_PAUSE_SECONDS = 2.0


def check_sizes(name: str, entries: Sequence[Entry]) -> None:
    """Refuse records that Kinesis does not take, before any is sent.

    Raises:
        ContractBroken: with how many, and the size of the first.
    """
    large = [size for size in map(_size, entries) if size > MOST_BYTES]
    if large:
        raise ContractBroken(
            f"stream {name}: {len(large)} records are too large, the first has {large[0]:,} bytes",
            f"send at most {MOST_BYTES:,} bytes with key and headers; put the rest into the object store",
        )


def waves(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Divide entries such that none of a wave waits for another: the first of each key, then the second."""
    by_group: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_group[entry.group].append(entry)
    for at in range(max(map(len, by_group.values()), default=0)):
        yield from _pieces([own[at] for own in by_group.values() if at < len(own)])


def put(client: Any, name: str, entries: Sequence[Entry], seconds: float) -> None:
    """Put entries of different keys, and those again that were refused for a while, until all are taken.

    Raises:
        StoreUnavailable: some were not taken in time.
    """
    until, tries, left = time.monotonic() + seconds, 0, list(entries)
    while left:
        records = [{"PartitionKey": entry.group, "Data": entry.data} for entry in left]
        with translated_errors(f"stream {name}"):
            answers = client.put_records(StreamName=name, Records=records)["Records"]
        refused = [answer for answer in answers if "ErrorCode" in answer]
        left = [entry for entry, answer in zip(left, answers, strict=True) if "ErrorCode" in answer]
        if left and time.monotonic() > until:
            raise StoreUnavailable(
                f"stream {name}: {len(left)} records were not taken in {seconds:g} s ({refused[0]['ErrorCode']})",
                "give the stream more shards, or let it grow on demand",
            )
        if left:
            time.sleep(pause_seconds(tries + 2, _LONGEST_PAUSE_SECONDS))
            tries += 1


def _pieces(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    piece: list[Entry] = []
    size = 0
    for entry in entries:
        if piece and (len(piece) == MOST_AT_ONCE or size + _size(entry) > MOST_BYTES_AT_ONCE):
            yield piece
            piece, size = [], 0
        piece.append(entry)
        size += _size(entry)
    if piece:
        yield piece


def _size(entry: Entry) -> int:
    return len(entry.data) + len(entry.group.encode())
