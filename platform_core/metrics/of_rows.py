"""Base classes of metrics that are means over rows: log loss, and shares of right rows."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.errors import MeanOfRows
from loopline.platform_core.metrics.losses import LEAST_COMPARED, LEAST_PROBABILITY
from loopline.platform_core.metrics.metric import Losses, Predictions

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Better, Floats


@dataclass(frozen=True)
class MeanSurprise(MeanOfRows):
    """The mean surprise (nats) at what came."""

    of_groups: bool = False
    unit: str | None = None

    @abc.abstractmethod
    def surprise(self, rows: Predictions, least: float) -> Floats:
        """Return each row's surprise; a chance below ``least`` counts as that."""

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's surprise."""
        return self.surprise(rows, LEAST_PROBABILITY)

    def losses(self, rows: Predictions) -> Losses:
        """Return each row's surprise as a share of the most that counts."""
        most = -log(LEAST_COMPARED)
        return Losses(self.surprise(rows, LEAST_COMPARED).clip(0, most) / most, most)


@dataclass(frozen=True)
class MeanShare(MeanOfRows):
    """The mean of what each row is right by, from 0 to 1."""

    better: Better = "higher"
    top: float = 1.0
    unit: str | None = None

    def losses(self, rows: Predictions) -> Losses:
        """Return what each row lacks."""
        return Losses(1 - self.of_rows(rows), 1.0)
