"""Loss metrics of binary probabilities: log loss and Brier score, as means of row losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from sys import float_info
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Losses, OfChances, Predictions, Ranked

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Better, Floats

LEAST_PROBABILITY = float_info.epsilon
"""A probability counts as at least this and at most 1 less this, as scikit-learn has it."""
LEAST_COMPARED = 0.001
"""The same where single rows are compared, so that one row's log loss has a bound."""
Loss = Callable[..., tuple["Floats", "Floats"]]
"""``loss(scores, least)``: what each row loses if it is positive, and what if it is negative."""


@dataclass(frozen=True)
class MeanLoss(OfChances):
    """The mean loss of rows; less is better. ``most`` is what one row may lose where rows are compared."""

    better: Better = "lower"
    _: KW_ONLY
    loss: Loss
    most: float = 1.0

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Weigh both losses of each row by its chance."""
        positive, negative = self.loss(ranked.scores)
        lost: Floats = (chances @ positive + (1 - chances) @ negative) / len(ranked.scores)
        return lost

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the mean by Student's t, corrected for skewness (Hall, 1992)."""
        from loopline.platform_core.metrics import intervals

        return intervals.mean(self._of_rows(rows, *self.loss(rows.raw)))

    def losses(self, rows: Predictions) -> Losses:
        """Return what each row lost, as a share of the most that it may lose."""
        lost, unit = self._of_rows(rows, *self.loss(rows.raw, LEAST_COMPARED)), self.most
        return Losses(lost / unit if unit != 1 else lost, unit)

    def _of_rows(self, rows: Predictions, positive: Floats, negative: Floats) -> Floats:
        import numpy as np

        return np.asarray(np.where(rows.labels > 0, positive, negative), dtype=np.float64)


def surprise(scores: Floats, least: float = LEAST_PROBABILITY) -> tuple[Floats, Floats]:
    """Return the surprise (nats) at a positive and at a negative; scores count as at least ``least``."""
    import numpy as np

    given = scores.clip(least, 1 - least)
    return np.asarray(-np.log(given)), np.asarray(-np.log(1 - given))


def squares(scores: Floats, least: float = 0.0) -> tuple[Floats, Floats]:  # noqa: ARG001
    """Return the squared distances to 1 and to 0."""
    return (1 - scores) ** 2, scores**2
