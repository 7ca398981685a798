"""A judge for when labels arrive: how good the candidate turned out to be, beside the stable version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from loopline.platform_core import metrics
from loopline.platform_core.metrics.losses import squares, surprise
from loopline.platform_core.specs.judges import Both, Finding, Judge, Traffic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Metric = Literal["roc_auc", "log_loss", "brier"]
LEAST_PROBABILITY = 0.001
"""A probability counts as at least this and at most 1 less this, so that one row's log loss has a bound."""
DECIDING, MOST_PARTNERS = 100, 10
"""How many of the commoner class stand beside one of the rarer is settled by so many labels, once and for all."""


class _Losses(NamedTuple):
    """_Losses in 0..1 whose mean, times ``unit``, is what a metric lacks of its best."""

    values: Floats
    unit: float


@dataclass(frozen=True)
class RealisedQuality(Judge):
    """By how much the candidate's realised metric is worse than the stable version's, of the rows with a label.

    ``metric`` is ``roc_auc``, ``log_loss`` or ``brier``, and ``at_most`` is in its unit: 0.02 lets ``roc_auc`` fall by
    0.02, ``log_loss`` rise by 0.02. Both versions' losses of the same rows are compared, from ``min_labels`` on; where
    no row was replayed, those of rows that each answered while both did, as two samples of so many each. Where requests
    can be replayed each of the two ways has half of ``alpha``.
    """

    metric: Metric = "roc_auc"
    min_labels: int = 100
    needs_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a metric that cannot be compared."""
        if self.metric not in METRICS:
            raise metrics.unknown(self.metric, METRICS, "metric of realised quality")

    @property
    def name(self) -> str:
        """Name the judge with its metric."""
        return f"RealisedQuality({self.metric})"

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare how much worse the candidate is at least with the bound."""
        pairs = candidate.pairs
        if pairs is None:
            return self._apart(candidate, stable, self.alpha)
        if len(pairs.labels):
            return self._paired(pairs.labels, pairs.labelled_scores, self.alpha / 2)
        return self._apart(candidate, stable, self.alpha / 2)

    def _paired(self, labels: Floats, scores: Both, alpha: float) -> Finding:
        """Test the differences of losses of the same rows: what makes a row hard makes it so for both."""
        from loopline.platform_core.specs.sequential import evidence_of_mean

        mine, other = (METRICS[self.metric](labels, side) for side in scores)
        if len(labels) < self.min_labels or not len(mine.values):
            return Finding(self.name, None, self.at_most, harm=False, detail=f"{len(labels)} labels of both")
        differences = mine.values - other.values
        strength = evidence_of_mean((1 + differences) / 2, (1 + self.at_most / mine.unit) / 2)
        worse = float(differences.mean()) * mine.unit
        proven = worse > self.at_most and strength >= 1 / alpha
        return Finding(self.name, worse, self.at_most, proven, f"{len(labels)} labels of both")

    def _apart(self, candidate: Traffic, stable: Traffic, alpha: float) -> Finding:
        fewest = min(len(candidate.labels), len(stable.labels))
        mine, other = (METRICS[self.metric](side.labels, side.labelled_scores) for side in (candidate, stable))
        if fewest < self.min_labels or not len(mine.values) or not len(other.values):
            return Finding(self.name, None, self.at_most, harm=False, detail=f"{fewest} labels of one of both")
        worse = float(mine.values.mean() - other.values.mean()) * mine.unit
        proven = worse > self.at_most and self._evidence(mine, other) >= 1 / alpha
        detail = f"{len(candidate.labels)} labels beside {len(stable.labels)}"
        return Finding(self.name, worse, self.at_most, proven, detail)

    def _evidence(self, mine: _Losses, other: _Losses) -> float:
        from loopline.platform_core.specs.sequential import evidence_of_gap

        return evidence_of_gap(mine.values, other.values, self.at_most / mine.unit)


def _log_loss(labels: Floats, scores: Floats) -> _Losses:
    import numpy as np

    unit = -float(np.log(LEAST_PROBABILITY))
    return _Losses(np.where(labels > 0, *surprise(scores, LEAST_PROBABILITY)) / unit, unit)


def _brier(labels: Floats, scores: Floats) -> _Losses:
    import numpy as np

    return _Losses(np.where(labels > 0, *squares(scores)), 1.0)


def _misranked(labels: Floats, scores: Floats) -> _Losses:
    """Return for each of the rarer class the share of its partners that rank on the wrong side, ties counting half.

    Each has partners of its own among the other class, in the order in which labels came, so that the losses are
    independent; their mean is 1 less the area under the ROC curve (Mann-Whitney).
    """
    import numpy as np

    above, below = scores[labels > 0], scores[labels <= 0]
    rarer, each = _partners(labels)
    if not rarer:  # turned round, what is misranked stays the same
        above, below = -below, -above
    pairs = min(len(above), len(below) // each)
    wrong = below[: pairs * each].reshape(pairs, each) - above[:pairs, None]
    return _Losses((np.sign(wrong).mean(axis=1) + 1) / 2, 1.0)


def _partners(labels: Floats) -> tuple[bool, int]:
    """Say whether positives are the rarer class, and how many of the other each may have; the first labels decide."""
    first = labels[:DECIDING]
    positives = int((first > 0).sum())
    fewer = min(positives, len(first) - positives)
    return positives == fewer, min(MOST_PARTNERS, (len(first) - fewer) // max(fewer, 1)) or 1


METRICS: dict[Metric, Callable[[Floats, Floats], _Losses]] = {
    "roc_auc": _misranked,
    "log_loss": _log_loss,
    "brier": _brier,
}
