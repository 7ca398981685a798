"""Rate models: an estimator of counts per unit of exposure, multiplied by a row's exposure.

The exposure is a feature like any other, such as the nights that a room is let or the days that a shelf is open. It is
multiplied where the estimator predicts, so that the server, batches and metrics all see the expected count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.specs.examples import Examples

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PerExposure:
    """A fitted ``rate``, and the column of ``x`` that holds the exposure."""

    rate: Any
    exposure: str
    column: int

    def predict(self, x: Floats) -> Floats:
        """Return the expected counts (rows,): of no exposure, and of one that is not known, nothing."""
        import numpy as np

        units = np.nan_to_num(np.asarray(x, dtype=np.float64)[:, self.column]).clip(0)
        return np.asarray(np.asarray(self.rate.predict(x), dtype=np.float64).reshape(len(x)).clip(0) * units)


def per_exposure(rate: Any, part: Examples, exposure: str) -> PerExposure:
    """Return an estimator for ``fit`` to return: ``rate`` was fitted to counts by unit (``rates``).

    Raises:
        InvalidSpec: there is no such feature, or it is a text.
    """
    return PerExposure(rate, exposure, _place(part, exposure))


def rates(part: Examples, exposure: str) -> tuple[Floats, Floats, Floats]:
    """Return what a rate is fitted to: features, counts by unit of exposure, and the exposures as weights.

    With weights a Poisson or Tweedie fit of rates is that of counts. Rows without an exposure are left out.

    Raises:
        InvalidSpec: there is no such feature, or it is a text; or counts came of no exposure at all.
    """
    import numpy as np

    units = part.x[:, _place(part, exposure)]
    there = units > 0
    if not there.any() or float(np.nan_to_num(part.y[~there]).sum()) > float(np.nan_to_num(part.y[there]).sum()):
        raise InvalidSpec(
            f"feature {exposure!r} is above 0 in {int(there.sum())} of {len(units)} rows, and most came of the others",
            "name a feature that says of how many units a row's count is",
        )
    return part.x[there], part.y[there] / units[there], units[there]


def _place(part: Examples, exposure: str) -> int:
    if exposure not in part.features or exposure in part.vocabulary:
        raise InvalidSpec(f"{exposure!r} is no numeric feature", f"use one of {', '.join(part.features)}")
    return part.features.index(exposure)
