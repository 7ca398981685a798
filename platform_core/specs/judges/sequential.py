"""Sequential tests: may be looked at any number of times at a fixed false alarm rate.

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
STAKES, LEAST_STAKE, MOST_STAKE = 24, 1e-3, 0.99
LEVELS = 100
"""A value counts as a mean of the two of so many levels between which it lies, so that a look costs the same at any
size. Of a logarithm that proves less than the value does, by very little.
"""
BETWEEN, MOST_LOG = 24, 700.0


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
    that are fair at the bound, averaged over shares from a thousandth to nearly all; a supermartingale, of which the
    order of the values changes nothing (Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random
    variables by betting", 2024).
    """
    if not len(values):
        return 1.0
    levels, counts = _rounded(values)
    if bound <= 0:
        return math.inf if (levels > 0).any() else 1.0
    return _capital(levels, counts, bound)


def evidence_of_gap(high: Floats, low: Floats, gap: float) -> float:
    """Return the evidence that the mean of ``high`` exceeds that of ``low`` by more than ``gap``, values in 0..1.

    Whatever the mean of ``low``: if it is *m*, the gamblers of ``high`` against *m* and the gap, and of ``low`` against
    *m*, multiply their capitals; what counts is the *m* at which they have least. As with one mean, this reaches
    1/alpha with probability alpha at most. Between two *m* the one capital only falls, the other only rises.
    """
    import numpy as np

    if not len(high) or not len(low):
        return 1.0
    likely = np.linspace(low.mean(), max(high.mean() - gap, 0.0), BETWEEN)
    means = np.unique(np.concatenate([np.linspace(0.0, 1.0, 9), likely]))
    above = _logs_of_capital(*_rounded(high), means[1:] + gap)
    below = _logs_of_capital(*_rounded(1 - low), 1 - means[:-1])
    return math.exp(min(float((above + below).min()), MOST_LOG))


def look(rows: int, first: int = FIRST_LOOK) -> tuple[int, int]:
    """Return the number (from 1) and the size of the newest look at a sample of so many rows; 0 before the first."""
    if rows < first:
        return 0, 0
    number = 1 + int(math.log(rows / first) / math.log(GROWTH) + 1e-9)
    return number, min(rows, math.ceil(first * GROWTH ** (number - 1)))


def spent(number: int, alpha: float) -> float:
    """Return the share of ``alpha`` that look ``number`` may spend; over all looks they add up to ``alpha``."""
    return alpha * 6 / (math.pi * number) ** 2


def _capital(levels: Floats, counts: Floats, bound: float) -> float:
    import numpy as np

    return math.exp(min(float(_logs_of_capital(levels, counts, np.array([bound]))[0]), MOST_LOG))


def _logs_of_capital(levels: Floats, counts: Floats, bounds: Floats) -> Floats:
    """Return the logarithm of the capital against each bound."""
    import numpy as np

    stakes = np.geomspace(LEAST_STAKE, MOST_STAKE, STAKES)[:, None, None]
    grown = np.log1p(stakes * (levels / bounds[:, None] - 1)) @ counts
    most = grown.max(axis=0)
    return np.asarray(most + np.log(np.exp(grown - most).mean(axis=0)))


def _rounded(values: Floats) -> tuple[Floats, Floats]:
    import numpy as np

    places = np.clip(values, 0.0, 1.0) * LEVELS
    below = np.minimum(places.astype(int), LEVELS - 1)
    counts = np.bincount(below, 1 - (places - below), LEVELS + 1) + np.bincount(below + 1, places - below, LEVELS + 1)
    return (np.arange(LEVELS + 1) / LEVELS)[counts > 0], counts[counts > 0].astype(np.float64)
