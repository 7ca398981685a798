"""Confidence intervals of metrics: shares, differences, means, area under the ROC curve.

Sources: shares by Wilson (1927), the difference of two shares by Newcombe (1998, method 10), the area under the ROC
curve by DeLong, DeLong and Clarke-Pearson (1988) on the logit scale (Pepe, 2003), means by Student's t with the
correction of Hall (1992) for values that are skewed, as losses are.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

CONFIDENCE = 0.95
SYMMETRIC = 1e-6
LEAST_ROWS_OF_A_KIND = 2
"""Rows of each kind without which nothing is said of a spread."""


class Interval(NamedTuple):
    """A figure, and between what the truth lies."""

    value: float
    low: float
    high: float


def share(hits: float, rows: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the share of hits among rows; None without rows."""
    if rows <= 0:
        return None
    z, value = _z(confidence), hits / rows
    middle, width = value + z * z / (2 * rows), z * sqrt(value * (1 - value) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    low, high = (middle - width) / scale, (middle + width) / scale
    return Interval(value, max(0.0, min(value, low)), min(1.0, max(value, high)))


def difference(one: Interval, other: Interval) -> Interval:
    """Return by how much one share exceeds another of other rows; both intervals are of one confidence."""
    value = one.value - other.value
    down = sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    up = sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return Interval(value, value - down, value + up)


def beyond_whole(own: Interval, rest: Interval, share_of_rest: float) -> Interval:
    """Return by how much a group exceeds the whole, of which it is a part, from that to the rest of it."""
    return Interval(*(share_of_rest * part for part in difference(own, rest)))


def apart(own: Floats, rest: Floats, confidence: float = CONFIDENCE) -> Interval | None:
    """Return by how much the mean of some rows exceeds that of others; None where either has fewer than two.

    What is rare may be missing in the smaller sample: each side counts as spread at least as far as the other.
    """
    if min(len(own), len(rest)) < LEAST_ROWS_OF_A_KIND:
        return None
    widest = max(float(side.std(ddof=1)) for side in (own, rest))
    one, other = mean(own, confidence, widest), mean(rest, confidence, widest)
    return difference(one, other) if one and other else None


def mean(values: Floats, confidence: float = CONFIDENCE, least_spread: float = 0.0) -> Interval | None:
    """Return the mean; None of fewer than two rows. The values' deviation counts as at least ``least_spread``."""
    if len(values) < LEAST_ROWS_OF_A_KIND:
        return None
    value, t = float(values.mean()), _t(confidence, len(values) - 1)
    spread = max(float(values.std(ddof=1)), least_spread)
    if not spread:
        return Interval(value, value, value)
    skewed = float((((values - value) / spread) ** 3).mean()) / sqrt(len(values))
    low, high = (value - spread / sqrt(len(values)) * _unskewed(side, skewed) for side in (t, -t))
    return Interval(value, min(value, low), max(value, high))


def area(labels: Floats, scores: Floats, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the chance that a positive scores above a negative, ties counting half; None without two of each.

    Where all are ranked right the lower bound is that of a share without a miss among the rarer kind (Clopper and
    Pearson, 1934): there is no spread to go by.
    """
    positive = labels > 0
    above, below = scores[positive], scores[~positive]
    if min(len(above), len(below)) < LEAST_ROWS_OF_A_KIND:
        return None
    value, spread = delong(above, below)
    if not 0 < value < 1 or spread <= 0:
        certain = float((1 - confidence) / 2) ** (1 / min(len(above), len(below)))
        return Interval(value, min(value, certain), max(value, 1 - certain) if value < 1 else 1.0)
    t = _t(confidence, min(len(above), len(below)) - 1)
    width = t * spread / (value * (1 - value))
    return Interval(value, _expit(_logit(value) - width), _expit(_logit(value) + width))


def on_logits(value: float, spread: float, confidence: float = CONFIDENCE) -> Interval:
    """Return a value between 0 and 1 whose logit has a standard error."""
    width = _z(confidence) * spread
    return Interval(value, _expit(_logit(value) - width), _expit(_logit(value) + width))


def delong(above: Floats, below: Floats) -> tuple[float, float]:
    """Return area and standard error from the scores of positives and negatives, at the cost of sorting them.

    Source: the midranks of Sun and Xu (2014).
    """
    together = midranks(np.concatenate([above, below]))
    placed = (together[: len(above)] - midranks(above)) / len(below)
    beaten = 1 - (together[len(above) :] - midranks(below)) / len(above)
    spread = placed.var(ddof=1) / len(above) + beaten.var(ddof=1) / len(below)
    return float(placed.mean()), sqrt(float(spread))


def midranks(values: Floats) -> Floats:
    """Return the rank of each value from 1, equal ones sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], dtype=np.float64)


def _unskewed(t: float, skewed: float) -> float:
    """Return what the studentised mean of skewed values reaches where that of symmetric ones reaches ``t``."""
    if abs(skewed) < SYMMETRIC:
        return t
    return 3 / skewed * (float(np.cbrt(1 + skewed * (t - skewed / 6))) - 1)


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _expit(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _t(confidence: float, freedom: int) -> float:
    return student((1 + confidence) / 2, freedom)


@lru_cache(maxsize=10_000)
def student(share: float, freedom: int) -> float:
    """Return what Student's t with so many degrees of freedom stays below in a share of cases."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))
