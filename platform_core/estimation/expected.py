"""Confidence-based performance estimation (CBPE) of binary models, from calibrated scores.

Each row counts as positive by its calibrated probability and as negative by
the rest; metrics of such shares are what the metrics of labels will be on average. It follows a shift of the features.
It cannot see that the same features have come to mean something else: then it goes on saying what used to be true.
Source: the documentation of NannyML; Białek and others (2024), arXiv 2401.08348.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.metrics import Figure, Metric, OfChances, Ranked

if TYPE_CHECKING:
    from loopline.platform_core.estimation.calibration import Calibration
    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.metrics import Predictions

OTHERS = 100
"""Calibrations that might have been as well: by these the estimate's own error is measured."""
DRAWS = 200
"""Sets of labels drawn, by which the spread of the metric itself is measured."""
DRAWN_ROWS = 2_000
"""Rows for which labels are drawn; of more rows the spread follows from these by the square root."""
FEWEST_EXPECTED = 1.0
"""Expected positives, and negatives, below which nothing is said."""
DEVIATIONS = 2.0
"""Between which 95 of 100 cases lie."""


def estimated(
    calibration: Calibration, rows: Predictions, metrics: Iterable[Metric], seed: int = 0
) -> Iterator[Figure]:
    """Yield what those metrics of rows will be that need labels.

    ``low`` and ``high`` hold what is realised in 95 of 100 cases.
    They add up two variances: of labels for given chances, and of the chances for given held-out rows.
    """
    order = rows.raw.argsort(kind="stable")
    scores, decided = rows.raw[order], rows.decided[order]
    chances, ranked = calibration(scores)[None], Ranked.of(scores, decided)
    if min(chances.sum(), (1 - chances).sum()) < FEWEST_EXPECTED:
        return
    each = -(-len(scores) // DRAWN_ROWS)
    some, fewer = scores[::each], Ranked.of(scores[::each], decided[::each])
    others = calibration.others(some, OTHERS, seed)
    drawn = (np.random.default_rng(seed).random((DRAWS, len(some))) < calibration(some)).astype(np.float64)
    for metric in estimable(metrics):
        value = float(metric.weighed(chances, ranked)[0])
        by_labels, by_line = (_variance(metric.weighed(sets, fewer)) for sets in (drawn, others))
        spread = DEVIATIONS * sqrt(by_labels * len(some) / len(scores) + by_line)
        if isfinite(value) and isfinite(spread):
            yield Figure(metric.name, value, max(0.0, value - spread), min(metric.top, value + spread))


def estimable(metrics: Iterable[Metric]) -> Iterator[OfChances]:
    """Yield the metrics that are defined for chances and need labels."""
    return (one for one in metrics if one.needs_labels and isinstance(one, OfChances))


def _variance(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.var(finite, ddof=1)) if len(finite) > 1 else np.nan
