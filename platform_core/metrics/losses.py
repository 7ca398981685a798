"""Metrics that are a mean of what each row loses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from sys import float_info
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Metric, Ranked

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Better, Floats

LEAST_PROBABILITY = float_info.epsilon
"""A probability counts as at least this and at most 1 less this, as scikit-learn has it."""
Loss = Callable[["Floats"], tuple["Floats", "Floats"]]
"""``loss(scores)``: what each row loses if it is positive, and what if it is negative."""


@dataclass(frozen=True)
class MeanLoss(Metric):
    """The mean loss of rows; less is better."""

    better: Better = "lower"
    _: KW_ONLY
    loss: Loss

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Weigh both losses of each row by its chance."""
        positive, negative = self.loss(ranked.scores)
        lost: Floats = (chances @ positive + (1 - chances) @ negative) / len(ranked.scores)
        return lost

    def interval(self, labels: Floats, scores: Floats, threshold: float) -> Interval | None:  # noqa: ARG002
        """Return the mean by Student's t, corrected for skewness (Hall, 1992)."""
        from loopline.platform_core.metrics import intervals

        return intervals.mean(self.of_rows(labels, scores))

    def of_rows(self, labels: Floats, scores: Floats) -> Floats:
        """Return what each row lost."""
        import numpy as np

        return np.asarray(np.where(labels > 0, *self.loss(scores)), dtype=np.float64)


def surprise(scores: Floats, least: float = LEAST_PROBABILITY) -> tuple[Floats, Floats]:
    """Return the surprise (nats) at a positive and at a negative; scores count as at least ``least``."""
    import numpy as np

    given = scores.clip(least, 1 - least)
    return np.asarray(-np.log(given)), np.asarray(-np.log(1 - given))


def squares(scores: Floats) -> tuple[Floats, Floats]:
    """Return the squared distances to 1 and to 0."""
    return (1 - scores) ** 2, scores**2
