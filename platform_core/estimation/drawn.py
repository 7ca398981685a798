"""Estimated metrics of unlabelled rows, from labels drawn at random by calibrated probabilities.

Two variances add up: that of labels for given chances, and that of the chances for given held-out rows. The second is
what the spread grows by when each set of labels is drawn by chances that might have been found as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.metrics.metric import Figure

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.metrics.metric import Metric

    Draw = Callable[[np.random.Generator, Floats, Any], Floats]
    """``draw(random, line, places)``: labels of the rows at some places, by the chances that a line makes."""

DRAWS = 100
"""Sets of labels by which a spread is measured."""
VALUED = 25
"""Sets of labels of all rows whose mean is the figure."""
DRAWN_ROWS = 2_000
"""Rows whose labels are drawn for spreads; of more rows the spread follows by the square root."""
DEVIATIONS = 2.0
"""Between which 95 of 100 cases lie."""
CERTAIN = 0.05
"""Share of cases in which what is the same is taken for different."""


def figures(
    kind: Kind, raw: Floats, metrics: Sequence[Metric], draw: Draw, known: tuple[Floats, Floats]
) -> Iterator[Figure]:
    """Yield what metrics will be; ``known`` is the line by which chances are believed, and its covariance."""
    if not len(raw) or not metrics:
        return
    random, (line, covariance) = np.random.default_rng(0), known  # the same is told of the same rows
    some = slice(None, None, -(-len(raw) // DRAWN_ROWS))
    few = raw[some]
    others = random.multivariate_normal(line, covariance, size=DRAWS, method="eigh")
    whole = [kind.rows(draw(random, line, slice(None)), raw) for _ in range(VALUED)]
    fixed = [kind.rows(draw(random, line, some), few) for _ in range(DRAWS)]
    moved = [kind.rows(draw(random, other, some), few) for other in others]
    for metric in metrics:
        values, given, either = (_values(metric, sets) for sets in (whole, fixed, moved))
        if min(map(len, (values, given, either))) < 2:  # noqa: PLR2004 - else it has no spread
            continue
        by_labels, both = float(given.var(ddof=1)), float(either.var(ddof=1))
        spread = DEVIATIONS * sqrt(by_labels * len(few) / len(raw) + max(0.0, both - by_labels))
        value = float(values.mean())
        if isfinite(value) and isfinite(spread):
            yield Figure(metric.name, value, max(0.0, value - spread), min(metric.top, value + spread))


def agreeing(apart: Floats, covariance: Floats) -> bool:
    """Say whether numbers that lie so far apart may be the same, by Wald's test."""
    from scipy.special import chdtri

    return bool(apart @ np.linalg.solve(covariance, apart) <= chdtri(len(apart), CERTAIN))


def _values(metric: Metric, sets: Sequence[Any]) -> Floats:
    found = [metric.value(rows) for rows in sets]
    return np.array([one for one in found if one is not None], dtype=np.float64)
