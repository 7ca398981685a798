"""Averaging ensemble: the weighted mean of several estimators' predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from loopline.platform_core.specs import Estimator
    from loopline.platform_core.targets import Target
    from loopline.platform_core.training.evaluate import Floats

_ROUNDS = 20
"""So many times the member that helps most gets a share more (Caruana and others 2004, 'Ensemble selection')."""


@dataclass(frozen=True)
class Average:
    """What fits have in common is predicted: raw numbers, by ``weights`` that add up to 1."""

    target: Target
    members: tuple[Estimator, ...]
    weights: tuple[float, ...]

    def predict(self, x: Floats) -> Floats:
        """Return raw predictions as the target has them."""
        each = [w * self.target.predictions(one, x) for one, w in zip(self.members, self.weights, strict=True)]
        return np.asarray(np.sum(each, axis=0), dtype=np.float64)


def weighed(raw: Sequence[Floats], score: Callable[[Floats], float]) -> tuple[Mapping[int, float], float]:
    """Return the weights, by place, of the mean with the best score, and that score.

    It begins with the best one alone, so it is never worse than that; the same member may be taken again.
    """
    singles = [score(one) for one in raw]
    first = max(range(len(raw)), key=lambda at: singles[at])
    taken, total, best = [first], raw[first], singles[first]
    chosen = Counter(taken)
    for _ in range(_ROUNDS):
        scores = [score((total + one) / (len(taken) + 1)) for one in raw]
        most = max(range(len(raw)), key=lambda at: scores[at])
        taken, total = [*taken, most], total + raw[most]
        if scores[most] > best:
            best, chosen = scores[most], Counter(taken)
    count = sum(chosen.values())
    return {at: times / count for at, times in sorted(chosen.items())}, best
