"""How far two samples of scores lie apart, and how far at least when chance is allowed for."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from platform_core.monitor.distance import ENOUGH, Floats, finite, split_null, wasserstein

RESAMPLES = 100


class Shift(NamedTuple):
    """A distance in the second sample's deviations: as measured without what chance adds, and its lower end."""

    distance: float
    at_least: float


def shift(a: Floats, b: Floats, alpha: float, seed: int = 0) -> Shift:
    """Measure the distance of ``a`` from ``b``; it lies above ``at_least`` but for a chance of ``alpha``.

    Two samples of one distribution lie apart too: what a random split of both shows on average is taken off. The spread
    is the bootstrap's (Efron 1979), normal in the limit. A side counts as at most ``ENOUGH`` rows, the newest.
    """
    left, right = finite(a)[-ENOUGH:], finite(b)[-ENOUGH:]
    if not len(left) or not len(right):
        return Shift(0.0, 0.0)
    random = np.random.default_rng(seed)
    drawn = [wasserstein(random.choice(left, len(left)), random.choice(right, len(right))) for _ in range(RESAMPLES)]
    by_chance = split_null(left, right, quantile=0.5, draws=RESAMPLES, seed=seed)
    distance = max(0.0, wasserstein(left, right) - by_chance)
    return Shift(distance, distance - NormalDist().inv_cdf(1 - alpha) * float(np.std(drawn)))
