"""The two models that every side serves, and the rows that they are asked for.

::

    <folder>/boosted/model.bst        LightGBM's text file, 200 trees of 31 leaves
    <folder>/pipeline/model.joblib    a pickled scikit-learn pipeline: imputer, scaler, logistic regression
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEATURES = tuple(f"f{number:02}" for number in range(20))
BOOSTED, PIPELINE = "boosted", "pipeline"
MODELS = (BOOSTED, PIPELINE)
FILES = {BOOSTED: "model.bst", PIPELINE: "model.joblib"}
TRAINING_ROWS = 5_000


def rows(number: int, seed: int) -> NDArray[np.float64]:
    """Return (number, 20) rows, short in JSON."""
    return np.random.default_rng(seed).normal(size=(number, len(FEATURES))).round(4)


def fit() -> dict[str, Any]:
    """Fit both models."""
    import lightgbm
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = rows(TRAINING_ROWS, 0)
    label = (x[:, 0] + x[:, 1] * x[:, 2] + np.random.default_rng(1).normal(size=len(x)) > 0).astype(int)
    parameters = {"objective": "binary", "num_leaves": 31, "min_data_in_leaf": 5, "num_threads": 1, "verbosity": -1}
    boosted = lightgbm.train(parameters, lightgbm.Dataset(x, label), 200)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(x, label)
    return {BOOSTED: boosted, PIPELINE: pipeline}


def write(folder: Path) -> dict[str, Any]:
    """Fit and write both, and return the estimators."""
    import joblib

    models = fit()
    for model in MODELS:
        (folder / model).mkdir(parents=True)
    models[BOOSTED].save_model(str(folder / BOOSTED / FILES[BOOSTED]))
    joblib.dump(models[PIPELINE], folder / PIPELINE / FILES[PIPELINE])
    return models
