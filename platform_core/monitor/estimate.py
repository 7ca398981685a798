"""How good a version seems before labels come: what its scores, taken at their word, would make of the metrics.

Confidence-based performance estimation: each row counts as positive by its calibrated probability and as negative by
the rest; metrics of such shares are what the metrics of labels will be on average. It follows a shift of the features.
It cannot see that the same features have come to mean something else: then it goes on saying what used to be true.
Source: the documentation of NannyML; Białek and others (2024), arXiv 2401.08348.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.figures import SURE, Figure

if TYPE_CHECKING:
    from loopline.platform_core.monitor.calibration import Calibration

OTHERS = 100
"""Calibrations that might have been as well: by these the estimate's own error is measured."""
DRAWS = 200
"""Sets of labels drawn, by which the spread of the metric itself is measured."""
DRAWN_ROWS = 2_000
"""Rows for which labels are drawn; of more rows the spread follows from these by the square root."""
FEWEST = 1.0
"""Expected positives, and negatives, below which nothing is said."""
DEVIATIONS = 2.0
"""Between which 95 of 100 cases lie."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Scores in rising order; of each row where those like it begin, and where they end."""

    scores: Floats
    first: NDArray[np.int64]
    after: NDArray[np.int64]
    flagged: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Floats, threshold: float) -> Ranked:
        """Rank sorted scores."""
        first, after = (np.searchsorted(scores, scores, side=side) for side in ("left", "right"))
        return cls(scores, first, after, scores >= threshold)


Expected = Callable[["Floats", Ranked], Floats]
"""``expected(chances, ranked)``: a metric for each row of ``chances`` (sets, rows); drawn labels are chances too."""


def estimated(calibration: Calibration, scores: Floats, threshold: float, seed: int = 0) -> Iterator[Figure]:
    """Yield what the metrics of rows will be; ``low`` and ``high`` hold what is realised in 95 of 100 cases.

    They add up two variances: of labels for given chances, and of the chances for given held-out rows.
    """
    scores = np.sort(scores)
    chances, ranked = calibration(scores)[None], Ranked.of(scores, threshold)
    if min(chances.sum(), (1 - chances).sum()) < FEWEST:
        return
    some = scores[:: -(-len(scores) // DRAWN_ROWS)]
    fewer = Ranked.of(some, threshold)
    others = calibration.others(some, OTHERS, seed)
    drawn = (np.random.default_rng(seed).random((DRAWS, len(some))) < calibration(some)).astype(np.float64)
    for name, expected in EXPECTED.items():
        value = float(expected(chances, ranked)[0])
        variance = _variance(expected(drawn, fewer)) * len(some) / len(scores) + _variance(expected(others, fewer))
        spread = DEVIATIONS * float(np.sqrt(variance))
        if np.isfinite([value, spread]).all():
            top = np.inf if name == "log_loss" else 1.0
            yield Figure(name, value, max(0.0, value - spread), min(top, value + spread))


def _variance(found: Floats) -> float:
    told = found[np.isfinite(found)]
    return float(np.var(told, ddof=1)) if len(told) > 1 else np.nan


def _roc_auc(chances: Floats, ranked: Ranked) -> Floats:
    """Return the expected share of pairs, a positive and a negative, that are ranked right; a row is no pair."""
    beaten = np.pad(np.cumsum(1 - chances, axis=1), ((0, 0), (1, 0)))
    alone = (chances * (1 - chances)).sum(axis=1)
    pairs = chances.sum(axis=1) * (1 - chances).sum(axis=1) - alone
    right = (chances * (beaten[:, ranked.first] + beaten[:, ranked.after])).sum(axis=1) - alone
    return _ratio(right / 2, pairs)


def _recall(chances: Floats, ranked: Ranked) -> Floats:
    return _ratio(chances[:, ranked.flagged].sum(axis=1), chances.sum(axis=1))


def _precision(chances: Floats, ranked: Ranked) -> Floats:
    return _ratio(chances[:, ranked.flagged].sum(axis=1), np.full(len(chances), float(ranked.flagged.sum())))


def _accuracy(chances: Floats, ranked: Ranked) -> Floats:
    return np.asarray(np.where(ranked.flagged, chances, 1 - chances).mean(axis=1))


def _log_loss(chances: Floats, ranked: Ranked) -> Floats:
    given = np.clip(ranked.scores, SURE, 1 - SURE)
    return np.asarray(-(chances @ np.log(given) + (1 - chances) @ np.log(1 - given)) / len(given))


def _brier(chances: Floats, ranked: Ranked) -> Floats:
    lost = chances @ (1 - ranked.scores) ** 2 + (1 - chances) @ ranked.scores**2
    return np.asarray(lost / len(ranked.scores))


def _positives(chances: Floats, ranked: Ranked) -> Floats:  # noqa: ARG001 - one form for all
    return np.asarray(chances.mean(axis=1))


def _ratio(some: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(some, whole, out=np.full(len(some), np.nan), where=whole > 0))


EXPECTED: dict[str, Expected] = {
    "roc_auc": _roc_auc,
    "recall": _recall,
    "precision": _precision,
    "accuracy": _accuracy,
    "log_loss": _log_loss,
    "brier": _brier,
    "positives": _positives,
}
"""What can be estimated, by the names of ``figures.READINGS``."""
