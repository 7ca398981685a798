"""Metrics of counts: mean deviance of Tweedie's family, such as Poisson's (Jørgensen, 1987)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from sys import float_info
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.errors import MeanOfRows

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats, Predictions

LEAST_EXPECTED = float_info.epsilon
"""Less than this is not expected of a row of which something came."""


@dataclass(frozen=True)
class MeanDeviance(MeanOfRows):
    """The mean unit deviance of Tweedie's family: of power 1 Poisson's, above it of counts that come in heaps."""

    of_groups: bool = False
    unit: str | None = None
    _: KW_ONLY
    power: float = 1.0

    def of_rows(self, rows: Predictions) -> Floats:
        """Return the deviances; 0 where what came was expected."""
        import numpy as np

        came, p = rows.labels, self.power
        said = np.where(came > 0, rows.raw.clip(LEAST_EXPECTED), rows.raw)
        if p == 1:
            ratio = np.divide(came, said, out=np.ones(len(came)), where=came > 0)
            return np.asarray(2 * (came * np.log(ratio) - came + said)).clip(0)
        least = said if p < 1 else said.clip(LEAST_EXPECTED)
        alone = came ** (2 - p) / ((1 - p) * (2 - p))
        deviance: Floats = 2 * (alone - came * least ** (1 - p) / (1 - p) + said ** (2 - p) / (2 - p))
        return deviance.clip(0)
