"""Score shift of two independent samples: Wasserstein distance with a lower confidence bound."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import ENOUGH, Floats, finite
from loopline.platform_core.foundation.distance import unit as unit_of


class Shift(NamedTuple):
    """A distance in the second sample's deviations: as measured without what chance adds, and its lower end."""

    distance: float
    at_least: float


def shift(a: Floats, b: Floats, alpha: float) -> Shift:
    """Measure the Wasserstein distance of ``a`` from ``b``; it lies above ``at_least`` but for a chance of ``alpha``.

    Two samples of one distribution lie apart too: what chance adds on average then is taken off. The distance is normal
    in the limit where both differ, and its variance is that of its influence function over both samples (Hampel,
    "The influence curve and its role in robust estimation", 1974). Of a side the newest ``ENOUGH`` rows count.
    """
    left, right = finite(a)[-ENOUGH:], finite(b)[-ENOUGH:]
    if not len(left) or not len(right):
        return Shift(0.0, 0.0)
    pooled = np.concatenate([left, right])
    order = np.argsort(pooled, kind="stable")
    values, mine = pooled[order], order < len(left)
    steps, gap = np.diff(values, append=values[-1]), _gap(mine)
    unit = unit_of(float(np.std(right)), float(np.abs(right).max()))
    apart = float(np.abs(gap) @ steps) / unit
    distance = max(0.0, apart - _by_chance(len(left), len(right), steps) / unit)
    spread = _variance(values, mine, np.sign(gap) * steps, apart, unit)
    return Shift(distance, distance - NormalDist().inv_cdf(1 - alpha) * float(np.sqrt(spread)))


def _gap(mine: NDArray[np.bool_]) -> Floats:
    """Return how much more of the first sample than of the second lies at or below each value."""
    first = np.cumsum(mine)
    second = np.arange(1, len(mine) + 1) - first
    return np.asarray(first / first[-1] - second / second[-1])


def _by_chance(left: int, right: int, steps: Floats) -> float:
    """Return the mean distance of random splits into two samples: of a normal gap at each value, its mean size."""
    share = np.arange(1, len(steps) + 1) / len(steps)
    deviation = np.sqrt(share * (1 - share) * (1 / left + 1 / right))
    return float(np.sqrt(2 / np.pi) * deviation @ steps)


def _variance(values: Floats, mine: NDArray[np.bool_], signed: Floats, apart: float, unit: float) -> float:
    """Return the variance of the distance; the deviation by which it is divided is itself measured."""
    beyond = (signed[::-1].cumsum()[::-1]) / unit  # what one row more at a value adds to the area
    left, right = beyond[mine], -beyond[~mine]
    from_mean = (values[~mine] - values[~mine].mean()) / unit
    right = right - apart / 2 * from_mean**2
    rare = max(float(left.var()), float(beyond[~mine].var()))  # what is rare may be missing in the smaller sample
    return rare / max(len(left) - 1, 1) + float(right.var()) / max(len(right) - 1, 1)
