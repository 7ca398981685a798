"""Rounds of panel data: entities that come back at a fixed interval, such as 80 shops by week.

A round holds each entity once, whether all come in one batch or each on its own day. A part of a round is another mix
of entities than the whole, so what is constant per entity (a shop's size, its region) looks moved in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.monitor.drift.columns.base import Rows

NEAR = 0.5
"""Two rows of an entity belong to one round when less than this share of the usual time lies between them."""
PAUSE = 0.6
"""Share of the usual time for which nobody comes between two batches; more than half, so that a round has one only."""
FEWEST_ROUNDS = 8
"""Rounds of a training set below which nothing is known of its rhythm."""
REGULAR_SHARE = 2 / 3
"""Returns of a panel that take the usual time, give or take ``NEAR``; of those by chance about a third do."""


class Panel(msgspec.Struct, frozen=True):
    """How a training set's entities come back: after so many ``seconds``; a round holds so many ``entities``.

    ``by`` are the columns that name an entity.
    """

    seconds: float
    entities: int
    by: list[str] = []


def panel(times: Rows, entities: Rows) -> Panel | None:
    """Find the panel in rows (event times in seconds, a number an entity); None where entities come by chance."""
    order = np.lexsort((times, entities))
    same, after = np.diff(entities[order]) == 0, np.diff(times[order])
    returns = after[same & (after > 0)]
    usual = float(np.median(returns)) if len(returns) else 0.0
    if not usual or np.mean(np.abs(returns - usual) <= NEAR * usual) < REGULAR_SHARE:
        return None
    order = np.argsort(times, kind="stable")
    counts = distinct(rounds(times[order], entities[order], usual), entities[order])
    return Panel(usual, int(np.median(counts))) if len(counts) >= FEWEST_ROUNDS else None


def rounds(times: Rows, entities: Rows, seconds: float) -> Rows:
    """Number the rounds of rows in order of time, from 0.

    The next round begins with the first entity that comes back, once half the usual time has passed; after a pause as
    there is one between batches; and where no entity comes back, after one and a half.
    """
    near, far, pause = seconds * NEAR, seconds * (1 + NEAR), seconds * PAUSE
    number, begun, seen = 0, int(times[0]) if len(times) else 0, set[int]()
    last, found = begun, []
    for time, entity in zip(times.tolist(), entities.tolist(), strict=True):
        passed = time - begun
        if passed >= far or time - last >= pause or (passed >= near and entity in seen):
            number, begun, seen = number + 1, time, set()
        last = time
        seen.add(entity)
        found.append(number)
    return np.array(found, dtype=np.int64)


def distinct(numbers: Rows, entities: Rows) -> Rows:
    """Count the entities of each round."""
    pairs = np.unique(np.stack([numbers, entities]), axis=1)
    return np.bincount(pairs[0]).astype(np.int64)


def bounds(numbers: Rows, least_rows: int, at_most: int) -> Rows:
    """Return where to cut rows into even stretches of whole rounds, of at least so many rows; empty without any."""
    if not len(numbers):
        return np.zeros(0, np.int64)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(numbers)) + 1, [len(numbers)]])
    count, first = len(begins) - 1, -(-max(least_rows, 1) // int(np.diff(begins).max()))
    enough = (each for each in range(first, count + 1) if (begins[each:] - begins[:-each]).min() >= least_rows)
    stretches = min(count // next(enough, count + 1), at_most)
    found: Rows = begins[np.linspace(0, count, stretches + 1).astype(int)] if stretches else begins[:0]
    return found


def numbered(columns: Sequence[pa.ChunkedArray]) -> Rows:
    """Give each entity a number, by the columns that name it."""
    texts = [pc.fill_null(column.cast(pa.string()), "") for column in columns]
    joined = pc.binary_join_element_wise(*texts, "\x1f") if len(texts) > 1 else texts[0]
    codes = joined.combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    return np.asarray(codes.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
