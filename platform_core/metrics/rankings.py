"""Metrics of how rows are ranked, whatever the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Metric, Ranked, ratio

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class AreaUnderRoc(Metric):
    """The chance that a positive scores above a negative, ties counting half (Hanley and McNeil, 1982)."""

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Return the share of pairs, a positive and a negative, that are ranked right; a row is no pair with itself."""
        beaten = _before(1 - chances)
        alone = (chances * (1 - chances)).sum(axis=1)
        pairs = chances.sum(axis=1) * (1 - chances).sum(axis=1) - alone
        right = (chances * (beaten[:, ranked.first] + beaten[:, ranked.after])).sum(axis=1) - alone
        return ratio(right / 2, pairs)

    def interval(self, labels: Floats, scores: Floats, threshold: float) -> Interval | None:  # noqa: ARG002
        """Return it with the interval of DeLong on the logit scale; None without two of each kind."""
        from loopline.platform_core.metrics import intervals

        return intervals.area(labels, scores)


@dataclass(frozen=True)
class AveragePrecision(Metric):
    """The precision at each positive's score, on average over the positives."""

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Return the share of positives among a positive and all that score as high, itself counting as one."""
        above = chances.sum(axis=1, keepdims=True) - _before(chances)[:, ranked.first]
        precisions = (1 + above - chances) / (len(ranked.scores) - ranked.first)
        return ratio((chances * precisions).sum(axis=1), chances.sum(axis=1))

    def interval(self, labels: Floats, scores: Floats, threshold: float) -> Interval | None:
        """Return it on the logit scale, as a share of the positives (Boyd and others, 2013); None without two."""
        from loopline.platform_core.metrics import intervals

        positives, value = float((labels > 0).sum()), self.value(labels, scores, threshold)
        if value is None or positives < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        if value >= 1:
            return intervals.share(positives, positives)
        return intervals.on_logits(value, 1 / sqrt(positives * value * (1 - value)))


def _before(weights: Floats) -> Floats:
    """Add up the weights before each place (sets, rows + 1)."""
    import numpy as np

    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))
