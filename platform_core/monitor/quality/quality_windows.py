"""Time windows of live quality: each as many days as the model says, counted from a fixed Monday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.monitor.quality.labelled import MOST_CELLS

if TYPE_CHECKING:
    from loopline.platform_core.monitor.quality.outcomes import Outcomes

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Windows are counted from here."""


class Counted(NamedTuple):
    """A window's start, how many rows it has, and whether any of them has a label."""

    start: datetime
    answers: int
    has_labels: bool


def windows(rows: Outcomes, length: timedelta) -> Iterator[tuple[datetime, Outcomes]]:
    """Cut rows by event time into windows, the oldest first."""
    numbers = _numbers(rows, length)
    order = np.argsort(numbers, kind="stable")
    found, firsts = np.unique(numbers[order], return_index=True)
    parts = np.split(order, firsts[1:]) if len(firsts) else []
    for number, places in zip(found.tolist(), parts, strict=True):
        yield MONDAY + number * length, rows.where(places)


def counted(rows: Outcomes, length: timedelta) -> Iterator[Counted]:
    """Count the rows of each window, the oldest first, without cutting them: most are told of no more."""
    numbers = _numbers(rows, length)
    first = int(numbers.min(initial=0))
    if numbers.max(initial=first) - first > MOST_CELLS * len(numbers):  # events so far apart that most are empty
        found, places = np.unique(numbers, return_inverse=True)
    else:
        found, places = np.arange(first, int(numbers.max(initial=first)) + 1), numbers - first
    sizes, labelled = np.bincount(places), np.bincount(places, rows.labelled)
    for place in np.flatnonzero(sizes).tolist():
        yield Counted(MONDAY + int(found[place]) * length, int(sizes[place]), bool(labelled[place]))


def _numbers(rows: Outcomes, length: timedelta) -> NDArray[np.int64]:
    """Number each row's window."""
    return (rows.event_us - int(MONDAY.timestamp()) * 1_000_000) // (length // timedelta(microseconds=1))
