"""Threshold-free ranking metrics of binary scores: ROC AUC and average precision."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Losses, OfChances, Predictions, Ranked, ratio

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Floats

DECIDING, MOST_PARTNERS = 100, 10
"""How many of the commoner class stand beside one of the rarer is settled by so many labels, once and for all."""


@dataclass(frozen=True)
class AreaUnderRoc(OfChances):
    """The chance that a positive scores above a negative, ties counting half (Hanley and McNeil, 1982)."""

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Return the share of pairs, a positive and a negative, that are ranked right; a row is no pair with itself."""
        beaten = _before(1 - chances)
        alone = (chances * (1 - chances)).sum(axis=1)
        pairs = chances.sum(axis=1) * (1 - chances).sum(axis=1) - alone
        right = (chances * (beaten[:, ranked.first] + beaten[:, ranked.after])).sum(axis=1) - alone
        return ratio(right / 2, pairs)

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with the interval of DeLong on the logit scale; None without two of each kind."""
        from loopline.platform_core.metrics import intervals

        return intervals.area(rows.labels, rows.raw)

    def losses(self, rows: Predictions) -> Losses:
        """Return for each of the rarer class the share of its partners on the wrong side, ties counting half.

        Each has partners of its own among the other class, in the order in which labels came, so that the losses are
        independent; their mean is 1 less the area (Mann-Whitney).
        """
        import numpy as np

        above, below = rows.raw[rows.labels > 0], rows.raw[rows.labels <= 0]
        rarer, each = _partners(rows.labels)
        if not rarer:  # turned round, what is misranked stays the same
            above, below = -below, -above
        pairs = min(len(above), len(below) // each)
        wrong = below[: pairs * each].reshape(pairs, each) - above[:pairs, None]
        return Losses((np.sign(wrong).mean(axis=1) + 1) / 2, 1.0)


@dataclass(frozen=True)
class AveragePrecision(OfChances):
    """The precision at each positive's score, on average over the positives."""

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Return the share of positives among a positive and all that score as high, itself counting as one."""
        above = chances.sum(axis=1, keepdims=True) - _before(chances)[:, ranked.first]
        precisions = (1 + above - chances) / (len(ranked.scores) - ranked.first)
        return ratio((chances * precisions).sum(axis=1), chances.sum(axis=1))

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it on the logit scale, as a share of the positives (Boyd and others, 2013); None without two."""
        from loopline.platform_core.metrics import intervals

        positives, value = float((rows.labels > 0).sum()), self.value(rows)
        if value is None or positives < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        if value >= 1:
            return intervals.share(positives, positives)
        return intervals.on_logits(value, 1 / sqrt(positives * value * (1 - value)))


def _partners(labels: Floats) -> tuple[bool, int]:
    """Say whether positives are the rarer class, and how many of the other each may have; the first labels decide."""
    first = labels[:DECIDING]
    positives = int((first > 0).sum())
    fewer = min(positives, len(first) - positives)
    return positives == fewer, min(MOST_PARTNERS, (len(first) - fewer) // max(fewer, 1)) or 1


def _before(weights: Floats) -> Floats:
    """Add up the weights before each place (sets, rows + 1)."""
    import numpy as np

    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))
