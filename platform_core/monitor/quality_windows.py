"""Windows of quality: as many days as a model says, counted from one Monday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from loopline.platform_core.monitor.outcomes import Outcomes

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Windows are counted from here."""


class Counted(NamedTuple):
    """A window's start, how many rows it has, and whether any of them has a label."""

    start: datetime
    answers: int
    has_labels: bool


def windows(rows: Outcomes, length: timedelta) -> Iterator[tuple[datetime, Outcomes]]:
    """Cut rows by event time into windows, the oldest first."""
    starts, order, firsts = _cut(rows, length)
    parts = np.split(order, firsts[1:]) if len(firsts) else []
    for start, places in zip(starts, parts, strict=True):
        yield start, rows.where(places)


def counted(rows: Outcomes, length: timedelta) -> Iterator[Counted]:
    """Count the rows of each window, the oldest first, without cutting them: most are told of no more."""
    starts, order, firsts = _cut(rows, length)
    if len(firsts):
        sizes = np.diff(np.append(firsts, len(order))).tolist()
        labelled = np.logical_or.reduceat(np.isfinite(rows.labels[order]), firsts).tolist()
        yield from map(Counted, starts, sizes, labelled)


def _cut(rows: Outcomes, length: timedelta) -> tuple[list[datetime], NDArray[np.int64], NDArray[np.int64]]:
    """Return the windows' starts, the rows in their order, and where in it each window begins."""
    length_us = length // timedelta(microseconds=1)
    numbers = (rows.event_us - int(MONDAY.timestamp()) * 1_000_000) // length_us
    order = np.argsort(numbers, kind="stable")
    found, firsts = np.unique(numbers[order], return_index=True)
    return [MONDAY + number * length for number in found.tolist()], order, firsts
