"""Tests that may be looked at as often as one likes: the chance of a false alarm holds over all looks together.

A rollout is judged at every tick. A test made for one look would, looked at a hundred times, cry wolf sooner or later.
"""

from __future__ import annotations

import math

FIRST_LOOK = 30
GROWTH = 1.25
"""Where proof cannot be had at every row, the sample is looked at when it has grown by a quarter since."""


def evidence(hits: int, rows: int, bound: float) -> float:
    """Return the evidence that the chance of a hit is above ``bound``: at 1/alpha it is proven at level alpha.

    Whatever the chance up to ``bound``, this ever reaches 1/alpha with probability alpha at most, however often it is
    looked at: it is the likelihood ratio against ``bound``, averaged over all larger chances, a supermartingale
    (Ville 1939; Robbins, "Statistical methods related to the law of the iterated logarithm", 1970).
    """
    from scipy.special import betaincc, betaln

    if bound <= 0:
        return math.inf if hits else 1.0
    if bound >= 1 or not rows:
        return 1.0
    above = float(betaincc(hits + 1, rows - hits + 1, bound))
    if above <= 0:
        return 0.0
    ratio = betaln(hits + 1, rows - hits + 1) - hits * math.log(bound) - (rows - hits) * math.log1p(-bound)
    return math.exp(min(math.log(above) + float(ratio) - math.log1p(-bound), 700.0))


def look(rows: int) -> tuple[int, int]:
    """Return the number (from 1) and the size of the newest look at a sample of so many rows; 0 before the first."""
    if rows < FIRST_LOOK:
        return 0, 0
    number = 1 + int(math.log(rows / FIRST_LOOK) / math.log(GROWTH) + 1e-9)
    return number, min(rows, math.ceil(FIRST_LOOK * GROWTH ** (number - 1)))


def spent(number: int, alpha: float) -> float:
    """Return the share of ``alpha`` that look ``number`` may spend; over all looks they add up to ``alpha``."""
    return alpha * 6 / (math.pi * number) ** 2
