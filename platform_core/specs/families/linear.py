"""Linear family: logistic, linear and Poisson regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.specs.families.family import Family, Learning
from loopline.platform_core.specs.families.prepared import prepared
from loopline.platform_core.specs.space import log_range

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Estimator, Params

_ROUNDS = 1_000


def fit(learning: Learning, params: Params) -> Estimator:
    """Fit a sum; ``strength`` is how much its weights are held back."""
    from sklearn.pipeline import make_pipeline

    fitted: Estimator = make_pipeline(prepared(learning.train), _sum(learning, float(params["strength"]))).fit(
        learning.train.x, learning.train.y
    )
    return fitted


def _sum(learning: Learning, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

    if learning.learns == "classes":
        return LogisticRegression(C=1 / strength, max_iter=_ROUNDS)
    if learning.learns == "counts":
        return PoissonRegressor(alpha=strength / len(learning.train.y), max_iter=_ROUNDS)
    return Ridge(alpha=strength)


LINEAR = Family("linear", {"strength": log_range(1e-2, 1e3)}, {"strength": 1.0}, fit)
