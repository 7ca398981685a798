"""Boosted trees that stop when the validation rows say so."""

from __future__ import annotations

from typing import Any

from loopline.specs import Estimator, Examples, Params, Report

SAME = {"random_state": 7, "n_jobs": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
METRICS = ["binary_logloss", "auc"]
"""The first stops the fit: by rank alone a few trees may win whose probabilities mean nothing yet."""


def boosted_trees(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
    """Fit LightGBM; the same rows and params give the same trees. The area under ROC is reported every 10 rounds."""
    import lightgbm

    def tell(env: Any) -> None:
        if env.iteration % 10 == 9:  # noqa: PLR2004 - every tenth round
            report(env.iteration + 1, {name: value for _, name, value, _ in env.evaluation_result_list}["auc"])

    trees = lightgbm.LGBMClassifier(n_estimators=400, metric=METRICS, subsample=0.8, subsample_freq=1, **SAME, **params)
    stop = lightgbm.early_stopping(40, first_metric_only=True, verbose=False)
    seen = {"eval_X": valid.x, "eval_y": valid.y, "callbacks": [stop, tell]}
    return trees.fit(train.x, train.y, categorical_feature=train.categorical, **seen)
