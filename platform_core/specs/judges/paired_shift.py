"""Score shift of two versions on the same rows: Wasserstein distance with a lower confidence bound."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from loopline.platform_core.foundation.distance import ENOUGH, Floats
from loopline.platform_core.foundation.distance import unit as unit_of
from loopline.platform_core.specs.judges.score_shift import Shift


def paired_shift(a: Floats, b: Floats, alpha: float) -> Shift:
    """Measure the Wasserstein distance of ``a`` from ``b``, aligned and finite, as ``shift`` does of two samples.

    What the rows have in common moves both and is in neither the distance nor its spread: the influence of a row is
    that of both its scores together. Of so many rows that chance alone would set apart at a value, only those count
    whose scores lie on either side of it. The newest ``ENOUGH`` rows count.
    """
    a, b = a[-ENOUGH:], b[-ENOUGH:]
    rows = len(a)
    values = np.sort(np.concatenate([a, b]))
    steps = np.diff(values, append=values[-1])
    below_a, below_b = (np.searchsorted(np.sort(side), values, side="right") for side in (a, b))
    gap = (below_a - below_b) / rows
    unit = unit_of(float(np.std(b)), float(np.abs(b).max()))
    apart = float(np.abs(gap) @ steps) / unit
    distance = max(0.0, apart - _by_chance(a, b, values, steps) / unit)
    beyond = (
        np.append((np.sign(gap) * steps)[::-1].cumsum()[::-1], 0.0) / unit
    )  # what a score adds to the area above it
    at_a, at_b = (beyond[np.searchsorted(values, side)] for side in (a, b))
    influence = at_a - at_b - apart / 2 * ((b - b.mean()) / unit) ** 2  # the deviation is itself measured
    spread = float(influence.var(ddof=1)) / rows
    return Shift(distance, distance - NormalDist().inv_cdf(1 - alpha) * float(np.sqrt(spread)))


def _by_chance(a: Floats, b: Floats, values: Floats, steps: Floats) -> float:
    """Return the mean distance if coins chose whose score is whose: of a normal gap at each value, its mean size."""
    begun = np.searchsorted(np.sort(np.minimum(a, b)), values, side="right")
    ended = np.searchsorted(np.sort(np.maximum(a, b)), values, side="right")
    return float(np.sqrt(2 / np.pi) * (np.sqrt(begun - ended) @ steps) / len(a))
