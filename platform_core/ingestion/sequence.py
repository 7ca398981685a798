"""Sequence numbers of raw rows, given at commit: later landings, withdrawals and restorations have higher ones.

A number is given in the commit that makes its rows hold: to each arrival, each micro-batch of a stream, each withdrawal
and restoration one. The raw table's transaction ``sequence`` is the last one, an arrival's transaction its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.foundation.names import ARRIVAL, SEQUENCE
from loopline.platform_core.ingestion.inbox import application

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.ingestion.inbox import Inbox

LAST = "sequence"
"""The raw table's transaction whose version is the last number given."""
TRIES = 10
"""So many writers may take the next number at the same time before one gives up."""


def append_next(
    inbox: Inbox,
    parts: Sequence[pa.Table],
    transactions: Callable[[int], Mapping[str, int]],
    after: Mapping[str, int] | None = None,
) -> int:
    """Append parts to the raw table, each under the next number, in one commit with ``transactions`` of the first one.

    ``after`` is as ``Lake.append`` takes it: what the writer builds on. Who is overtaken by another landing takes the
    numbers behind it.

    Returns:
        The raw table's version.

    Raises:
        CommitConflict: the writer is stale, or other landings of the source were faster again and again.
    """
    import pyarrow as pa

    lake = inbox.platform.lake
    for _ in range(TRIES):
        last = lake.committed(inbox.raw, [LAST])
        first = _next(last)
        rows = [numbered(part, pa.repeat(pa.scalar(first + place), len(part))) for place, part in enumerate(parts)]
        every = {**transactions(first), LAST: first + len(parts) - 1}
        try:
            together = pa.concat_tables(rows, promote_options="default")
            return lake.append(inbox.raw, together, every, {**(after or {}), **last})
        except CommitConflict as error:
            if lake.committed(inbox.raw, [LAST]) == last:
                raise
            overtaken = error
    raise overtaken


def next_number(inbox: Inbox) -> int:
    """Return the number that the next commit gives, if nobody is faster."""
    return _next(inbox.platform.lake.committed(inbox.raw, [LAST]))


def _next(last: Mapping[str, int]) -> int:
    return last.get(LAST, 0) + 1


def numbered(rows: pa.Table, numbers: pa.Array) -> pa.Table:
    """Give rows their numbers."""
    return rows.append_column(SEQUENCE, numbers)


def numbers_of(inbox: Inbox, letters: pa.Table, *, is_stream: bool) -> pa.Array:
    """Return the numbers under which the arrivals, or micro-batches, of dead letters landed."""
    import pyarrow as pa

    if is_stream:
        return letters[SEQUENCE].combine_chunks()
    arrivals = letters[ARRIVAL].to_pylist()
    known = inbox.platform.lake.committed(inbox.raw, sorted({*map(application, arrivals)}))
    return pa.array([known.get(application(arrival), 0) for arrival in arrivals], pa.int64())
