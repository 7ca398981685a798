"""Windows of quality: as many days as a model says, counted from one Monday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from loopline.platform_core.monitor.outcomes import Outcomes

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Windows are counted from here."""


def windows(rows: Outcomes, length: timedelta) -> Iterator[tuple[datetime, Outcomes]]:
    """Cut rows by event time into windows, the oldest first."""
    length_us = length // timedelta(microseconds=1)
    numbers = (rows.event_us - int(MONDAY.timestamp()) * 1_000_000) // length_us
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(found) else []
    for number, places in zip(found.tolist(), parts, strict=True):
        yield MONDAY + number * length, rows.where(places)
