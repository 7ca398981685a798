"""Sequential tests: confidence intervals valid at every look, sample size, and sample ratio mismatch.

The interval of a difference of means is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (Annals of Statistics, 2024), theorem
2.2, over the influence of each entity. Whether the split is as it should be is told by the Bayes factor of Lindon and
Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 100
"""Entities that each side needs before an interval is told: the theory speaks of many."""
FEWEST_TIMES_SKEWNESS = 10
"""The fewest entities of both sides, in squares of the skewness of what each adds: uneven splits of long tails wait."""
CONCENTRATION = 100.0
"""How strongly the test of the split believes in splits near the one that was asked for."""
ALIKE = 0.001
"""The chance at which a split as it was asked for is ever taken for another one."""


@dataclass(frozen=True)
class Interval:
    """A difference (candidate less stable), and where the truth lies at all looks but for ``alpha`` of experiments."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Size:
    """How many entities both sides need together: looked at once, at the end, and looked at whenever one likes."""

    fixed: int
    sequential: int


def difference(candidate: Floats, stable: Floats, share: float, alpha: float, planned: int) -> Interval | None:
    """Return the interval of the difference of two means; None where either side has too few entities yet.

    ``share`` of the entities were to meet the candidate. It is narrowest, for its alpha, at so many as ``planned``.
    """
    if min(len(candidate), len(stable)) < LEAST:
        return None
    value, rows = float(candidate.mean() - stable.mean()), len(candidate) + len(stable)
    deviation, skewness = _influence(candidate, stable, share)
    if rows < FEWEST_TIMES_SKEWNESS * skewness**2:
        return None
    half = deviation * margin(rows, alpha, planned)
    return Interval(value, value - half, value + half)


def margin(rows: float, alpha: float, planned: float) -> float:
    """Return half the width of the interval of a mean of so many values with deviation 1."""
    weight = _concentration(alpha) * rows / planned
    return math.sqrt(2 * (weight + 1) / (rows * weight) * math.log(math.sqrt(weight + 1) / alpha))


def size(deviation: float, share: float, effect: float, alpha: float, power: float) -> Size:
    """Return how many entities show an effect with chance ``power``, where their values have a ``deviation``.

    Two-sided. That of looks at any time is enough at its last look alone; earlier looks only add to its power.
    """
    spread = deviation / math.sqrt(share * (1 - share)) / effect
    normal = NormalDist()
    once, beyond = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    fixed, always = ((spread * (limit + beyond)) ** 2 for limit in (once, margin(1, alpha, 1)))
    fewest = 2 * math.ceil(LEAST / min(share, 1 - share) / 2)
    return Size(math.ceil(fixed), max(math.ceil(always), fewest))


def evidence_of_split(candidate: int, stable: int, share: float) -> float:
    """Return the evidence that entities are split otherwise than by ``share``: at 1 / ``ALIKE`` it is proven."""
    mine, other = CONCENTRATION * share, CONCENTRATION * (1 - share)
    mixed = _log_beta(mine + candidate, other + stable) - _log_beta(mine, other)
    asked = candidate * math.log(share) + stable * math.log(1 - share)
    return math.exp(min(mixed - asked, 700.0))


def _influence(candidate: Floats, stable: Floats, share: float) -> tuple[float, float]:
    """Return the deviation and the skewness of what each entity adds to the difference.

    A small side that has not seen what is rare yet has a small mean and a small variance at once, and would prove much
    too much: what both sides together show of the spread counts, unless the sides by themselves show more.
    """
    import numpy as np

    both = np.concatenate([candidate, stable])
    apart = float(candidate.var(ddof=1)) / share + float(stable.var(ddof=1)) / (1 - share)
    together = float(both.var(ddof=1)) * (1 / share + 1 / (1 - share))
    third = float(((both - both.mean()) ** 3).mean()) * (1 / share**2 - 1 / (1 - share) ** 2)
    return math.sqrt(max(apart, together)), third / together**1.5 if together else 0.0


def _concentration(alpha: float) -> float:
    """Return the weight that makes the interval about as narrow as can be at the planned size (the paper, B.2)."""
    spent = -2 * math.log(alpha)
    return spent + math.log(spent) + 1


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)
