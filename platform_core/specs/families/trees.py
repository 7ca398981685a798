"""Gradient-boosted trees family (LightGBM), with early stopping on the validation rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.specs.families.family import Family, Learning
from loopline.platform_core.specs.space import int_range, log_range, uniform

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Estimator, Params

_ROUNDS, _PATIENCE = 400, 30
_LOOKS = (25, 50, 100, 200)
"""After so many trees a trial is held against the others."""
_SAME = {"verbose": -1, "num_threads": 1, "seed": 0, "deterministic": True, "force_row_wise": True, "bagging_freq": 1}


def fit(learning: Learning, params: Params) -> Estimator:
    """Grow trees until the validation rows see no better ones for ``_PATIENCE`` rounds."""
    import lightgbm

    train, valid = (_rows(part) for part in (learning.train, learning.valid))
    stops = lightgbm.early_stopping(_PATIENCE, verbose=False)
    asked: dict[str, Any] = {**_SAME, **_objective(learning), **params}
    grown: Estimator = lightgbm.train(asked, train, _ROUNDS, valid_sets=[valid], callbacks=[stops, _looking(learning)])
    return grown


def _rows(part: Any) -> Any:
    import lightgbm

    return lightgbm.Dataset(part.x, part.y, categorical_feature=part.categorical, params=_SAME, free_raw_data=False)


def _objective(learning: Learning) -> dict[str, Any]:
    """Name the loss; of several classes each has its trees, whether it is among the rows or not."""
    if learning.learns == "classes":
        several = {"objective": "multiclass", "num_class": learning.width}
        return several if learning.width > 1 else {"objective": "binary"}
    return {"objective": "poisson" if learning.learns == "counts" else "regression"}


def _looking(learning: Learning) -> Any:
    """Report at some rounds how the trees do on the validation rows."""

    def look(env: Any) -> None:
        if (rounds := env.iteration + 1) in _LOOKS:
            learning.report(_LOOKS.index(rounds) + 1, learning.judge(env.model, learning.valid.x))

    return look


TREES = Family(
    "trees",
    {
        "learning_rate": log_range(0.02, 0.3),
        "num_leaves": int_range(7, 127),
        "min_data_in_leaf": int_range(5, 100),
        "feature_fraction": uniform(0.5, 1),
        "bagging_fraction": uniform(0.5, 1),
        "lambda_l2": log_range(1e-3, 10),
    },
    {
        "learning_rate": 0.08,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.9,
        "bagging_fraction": 0.9,
        "lambda_l2": 1e-3,
    },
    fit,
)
