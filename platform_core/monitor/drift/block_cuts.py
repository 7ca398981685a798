"""Cuts the training set into consecutive blocks, by rows and by time, as live traffic is cut into windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from loopline.platform_core.monitor.drift.columns.base import Rows
from loopline.platform_core.monitor.drift.rounds import bounds

FEWEST_BLOCKS, MOST_BLOCKS = 8, 100
"""Fewer blocks of a length tell nothing of what is usual; of more, so many are taken at even steps."""
LEAST_ROWS = 50
"""Rows below which a block shows chance and little else."""
MOST_ROWS = 2_000
"""Rows of a block that are looked at, at even steps; of more, chance's part is known well enough to be taken off."""
HOUR, DAY = 3_600, 86_400
SPANS_SECONDS = (HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY, 91 * DAY)

By = Literal["rows", "seconds"]


@dataclass(frozen=True)
class Cut:
    """Blocks of one length, in rows or in seconds: the rows of each; ``whole`` is how many there are in all."""

    by: By
    length: float
    blocks: list[Rows]
    whole: int


def in_order(times: Rows | None, rows: int, random: np.random.Generator) -> Rows:
    """Put rows in order of time; those of one instant by chance, for what stands first there says nothing."""
    drawn = random.permutation(rows)
    return drawn[np.argsort(times[drawn], kind="stable")] if times is not None else np.arange(rows)


def cuts(order: Rows, times: Rows | None, least_rows: int, numbers: Rows | None = None) -> Iterator[Cut]:
    """Cut rows in order into blocks of each length of which there are enough; ``times`` are seconds, a row.

    Of a panel ``numbers`` are the rounds of the rows: none is cut.
    """
    length = max(min(least_rows, len(order) // FEWEST_BLOCKS), LEAST_ROWS)
    while len(order) // length >= FEWEST_BLOCKS:
        found = _by_rows(order, length) if numbers is None else _by_rounds(order, length, numbers)
        blocks = [_looked_at(block) for block in even(found, MOST_BLOCKS)]
        yield Cut("rows", length, blocks, len(found))
        length *= 2
    if times is not None and len(order):
        yield from _cuts_by_time(order, times)


def shuffled(cut: Cut, order: Rows, random: np.random.Generator) -> list[Rows]:
    """Draw as many rows as each block has from the whole: what blocks would be if rows did not depend on each other."""
    return [random.choice(order, len(block), replace=False) for block in cut.blocks]


def _by_rows(order: Rows, length: int) -> list[Rows]:
    starts = np.linspace(0, len(order) - length, len(order) // length).astype(int)
    return [order[start : start + length] for start in starts]


def _by_rounds(order: Rows, length: int, numbers: Rows) -> list[Rows]:
    cut = bounds(numbers[order], length, len(order))
    return [order[start:end] for start, end in pairwise(cut.tolist())]


def _cuts_by_time(order: Rows, times: Rows) -> Iterator[Cut]:
    """Cut at each span; of spans that make the same blocks, such as those within a week of weekly rows, the longest."""
    found = [(span, _by_time(order, times, span)) for span in SPANS_SECONDS]
    for (span, blocks), (_, longer) in zip(found, [*found[1:], (0, [])], strict=True):
        if len(blocks) >= FEWEST_BLOCKS and len(blocks) != len(longer):
            looked_at = [_looked_at(block) for block in even(blocks, MOST_BLOCKS)]
            yield Cut("seconds", span, looked_at, len(blocks))


def _by_time(order: Rows, times: Rows, seconds: int) -> list[Rows]:
    """Cut at every so many seconds; the last block is whole only by chance, and is left out like those of few rows."""
    numbers = (times[order] - times[order[0]]) // seconds
    blocks = np.split(order, np.flatnonzero(np.diff(numbers)) + 1)[:-1]
    return [block for block in blocks if len(block) >= LEAST_ROWS]


def even(blocks: list[Rows], most: int) -> list[Rows]:
    """Take at most so many blocks at even steps."""
    return [blocks[place] for place in np.linspace(0, len(blocks) - 1, min(most, len(blocks))).astype(int)]


def _looked_at(block: Rows) -> Rows:
    chosen: Rows = block[np.linspace(0, len(block) - 1, min(MOST_ROWS, len(block))).astype(int)]
    return chosen
