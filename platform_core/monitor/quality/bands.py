"""Reliability table of a window: mean label against mean prediction, by bands of similar predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.metrics import Figure, intervals
from loopline.platform_core.monitor.quality.quality_figures import LABEL, READING

if TYPE_CHECKING:
    from loopline.platform_core.monitor.quality.outcomes import Outcomes
    from loopline.platform_core.targets import Target

LEAST_ROWS = 20
"""Rows with a label that each band has at least; where they are fewer there are fewer bands."""


def name(number: int, count: int) -> str:
    """Name the segment of a band, from 1 on."""
    return f"{READING} {number}/{count}"


def of(rows: Outcomes, target: Target) -> Iterator[tuple[str, int, list[Figure]]]:
    """Yield each band's segment, its rows and its figures, the smallest readings first; none of too few rows."""
    known = rows.labelled
    count = min(target.bands, int(known.sum()) // LEAST_ROWS)
    if count < 2:  # noqa: PLR2004 - one band says what the window does
        return
    readings, labels = target.reading(rows.raw[known]), rows.labels[known]
    order = np.argsort(readings, kind="stable")
    for number, places in enumerate(np.array_split(order, count), 1):
        own, real = readings[places], intervals.mean(labels[places])
        if real:
            said = Figure(READING, float(own.mean()), float(own.min()), float(own.max()))
            yield name(number, count), len(places), [said, Figure(LABEL, *real)]
