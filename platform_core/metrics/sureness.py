"""Calibration error of multiclass models: stated probability against how often they are right.

Source: the calibration error freed of what chance adds to it (Kumar, Liang and Ma, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Metric, Predictions

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Better, Floats

BINS, LEAST_BINNED = 10, 25
"""Groups of like confidence, of as many rows each, in which a calibration error is looked for: so many at most, of so
many rows at least."""
OUTSIDE = 0.025
"""Share of cases in which the truth is beyond either end of an interval."""


@dataclass(frozen=True)
class CalibrationError(Metric):
    """By how much the probability of the answered class misses how often it is right: the root of the mean square.

    Rows of like probability stand together; what chance alone adds is taken off, so that a model that says what is so
    has 0, not the noise of its rows.
    """

    better: Better = "lower"
    needs_decision: bool = True

    def value(self, rows: Predictions) -> float | None:
        """Return it."""
        if not len(rows):
            return None
        weight, squared, noise = _gaps(rows)
        return sqrt(max(0.0, float(weight @ (squared - noise))))

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with the ends at which the squares, noncentral chi-squared, would be as far off."""
        from scipy.special import chndtr, chndtrinc

        from loopline.platform_core.metrics import intervals

        value = self.value(rows)
        if value is None or len(rows) < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        weight, squared, noise = _gaps(rows)
        one = float((noise * weight**2).sum() * len(rows) / weight.sum())  # of a row
        scale = max(one, 1 / (4 * len(rows)))
        seen, free = float(weight @ squared) * len(rows) / scale, float(len(weight))

        def end(share: float) -> float:
            if float(chndtr(seen, free, 0.0)) <= share:
                return 0.0
            return sqrt(float(chndtrinc(seen, free, share)) * scale / len(rows))

        return intervals.Interval(value, min(value, end(1 - OUTSIDE)), min(1.0, max(value, end(OUTSIDE))))


def _gaps(rows: Predictions) -> tuple[Floats, Floats, Floats]:
    """Return of each group of like confidence its share of rows, its squared gap, and what chance makes of that."""
    import numpy as np

    sure, right = rows.raw.max(axis=1), (rows.decided == rows.labels).astype(float)
    bins = max(1, min(BINS, len(sure) // LEAST_BINNED))
    edges = np.unique(np.quantile(sure, np.arange(1, bins) / bins))
    _, group, size = np.unique(np.searchsorted(edges, sure, side="right"), return_inverse=True, return_counts=True)
    hits, said = (np.bincount(group, weights=of) / size for of in (right, sure))
    noise = np.bincount(group, weights=(right - hits[group]) ** 2) / size / np.maximum(size - 1, 1)
    return size / len(sure), (hits - said) ** 2, noise
