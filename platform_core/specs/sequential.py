"""Tests that may be looked at as often as one likes: the chance of a false alarm holds over all looks together.

A rollout is judged at every tick. A test made for one look would, looked at a hundred times, cry wolf sooner or later.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST_LOOK = 30
GROWTH = 1.25
"""Where proof cannot be had at every row, the sample is looked at when it has grown by a quarter since."""
STAKES = 40
SMALLEST_STAKE = 1e-3
LEVELS = 2_000
"""Values are rounded to so many levels, always to the side that proves less; so a look costs the same at any size."""
HALVINGS = 20


def evidence(hits: int, rows: int, bound: float) -> float:
    """Return the evidence that the chance of a hit is above ``bound``: at 1/alpha it is proven at level alpha."""
    import numpy as np

    if bound <= 0:
        return math.inf if hits else 1.0
    return _capital(np.array([0.0, 1.0]), np.array([rows - hits, hits]), bound)


def evidence_of_mean(values: Floats, bound: float) -> float:
    """Return the evidence that values in 0..1 have a mean above ``bound``: at 1/alpha it is proven at level alpha.

    Whatever the mean up to ``bound``, this ever reaches 1/alpha with probability alpha at most, however often it is
    looked at: it is the capital of a gambler who begins with 1 and stakes a fixed share of it on each value at odds
    that are fair at the bound, averaged over shares from a thousandth to all; a supermartingale, whatever the order
    of the values (Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
    2024).
    """
    if not len(values):
        return 1.0
    levels, counts = _rounded(values)
    if bound <= 0:
        return math.inf if (levels > 0).any() else 1.0
    return _capital(levels, counts, bound)


def mean_at_least(values: Floats, alpha: float) -> float:
    """Return what the mean of values in 0..1 is at least, at all looks together but for a chance of ``alpha``."""
    if not len(values):
        return 0.0
    levels, counts = _rounded(values)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):  # what is proven of a mean is proven of every smaller one
        middle = (low + high) / 2
        low, high = (middle, high) if _capital(levels, counts, middle) >= 1 / alpha else (low, middle)
    return low


def look(rows: int) -> tuple[int, int]:
    """Return the number (from 1) and the size of the newest look at a sample of so many rows; 0 before the first."""
    if rows < FIRST_LOOK:
        return 0, 0
    number = 1 + int(math.log(rows / FIRST_LOOK) / math.log(GROWTH) + 1e-9)
    return number, min(rows, math.ceil(FIRST_LOOK * GROWTH ** (number - 1)))


def spent(number: int, alpha: float) -> float:
    """Return the share of ``alpha`` that look ``number`` may spend; over all looks they add up to ``alpha``."""
    return alpha * 6 / (math.pi * number) ** 2


def _capital(levels: Floats, counts: Floats, bound: float) -> float:
    import numpy as np

    levels, counts = levels[counts > 0], counts[counts > 0]
    stakes = np.geomspace(SMALLEST_STAKE, 1.0, STAKES)[:, None]
    with np.errstate(divide="ignore"):  # who stakes all on a value of nothing has nothing left
        grown = (counts * np.log1p(stakes * (levels / bound - 1))).sum(axis=1)
    return float(np.mean(np.exp(np.minimum(grown, 700.0))))


def _rounded(values: Floats) -> tuple[Floats, Floats]:
    import numpy as np

    down = np.floor(np.clip(values, 0.0, 1.0) * LEVELS) / LEVELS
    levels, counts = np.unique(down, return_counts=True)
    return levels, counts.astype(np.float64)
