"""Nearest-neighbours family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.specs.families.family import Family, Learning
from loopline.platform_core.specs.families.prepared import prepared
from loopline.platform_core.specs.space import Range, choice

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Estimator, Params


def fit(learning: Learning, params: Params) -> Estimator:
    """Keep the rows; ``count`` of them are asked, or all where there are fewer."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline

    kind = KNeighborsClassifier if learning.learns == "classes" else KNeighborsRegressor
    count = min(int(params["count"]), len(learning.train.y))
    fitted: Estimator = make_pipeline(prepared(learning.train), kind(count, weights=params["weights"])).fit(
        learning.train.x, learning.train.y
    )
    return fitted


NEIGHBOURS = Family(
    "neighbours",
    {"count": Range(5, 200, log=True, whole=True), "weights": choice("uniform", "distance")},
    {"count": 30, "weights": "uniform"},
    fit,
)
