"""A model of each kind, as every side serves it.

::

    <folder>/kinds.json                what there is: the file of each, and how it is asked
    <folder>/<kind>/model.bst          LightGBM's text file
    <folder>/<kind>/model.joblib       a pickled scikit-learn estimator
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.serving.data import TRAINING_ROWS, rows

if TYPE_CHECKING:
    from loopline.platform_core.targets import Target

BOOSTED, JOBLIB = "model.bst", "model.joblib"
CLASSES, ITEMS, LISTED, STEPS, QUANTILES = 5, 500, 10, 14, 3
LEARNS = {"num_leaves": 31, "min_data_in_leaf": 5, "num_threads": 1, "verbosity": -1}


class Kind(NamedTuple):
    """A model: its target, the fitted estimator, the file it lies in, and what a library is asked by."""

    target: Target
    estimator: Any
    file: str
    asked: str
    said: str


def fit() -> Mapping[str, Kind]:
    """Fit one of each kind."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    from loopline import specs

    x, random = rows(TRAINING_ROWS, 0), np.random.default_rng(1)
    value = 30 * x[:, 0] + 10 * x[:, 1] * x[:, 2] + random.normal(size=len(x))
    count = random.poisson(np.exp(0.5 * x[:, 0]))
    codes = np.digitize(value, np.quantile(value, np.linspace(0, 1, CLASSES + 1)[1:-1]))
    several = (x[:, :CLASSES] + random.normal(size=(len(x), CLASSES)) > 0).astype(int)
    scores, path = x @ random.normal(size=(20, ITEMS)), x @ random.normal(size=(20, STEPS * QUANTILES))
    names, items = tuple("abcde"), tuple(range(ITEMS))
    return {
        "regression": Kind(
            specs.Regression(), _trees(x, value, "regression", 200), BOOSTED, "booster", "200 trees of LightGBM"
        ),
        "count": Kind(specs.Count(), _trees(x, count, "poisson", 200), BOOSTED, "booster", "200 trees, Poisson"),
        "multiclass": Kind(
            specs.Multiclass(names), _trees(x, codes, "multiclass", 40), BOOSTED, "booster", "5 classes, 40 trees each"
        ),
        "multilabel": Kind(
            specs.Multilabel(names),
            OneVsRestClassifier(LogisticRegression()).fit(x, several),
            JOBLIB,
            "predict_proba",
            "5 labels, a logistic regression each",
        ),
        "forecast": Kind(
            specs.Forecast(horizon=STEPS),
            Ridge().fit(x, np.sort(path.reshape(-1, STEPS, QUANTILES), axis=2).reshape(len(x), -1)),
            JOBLIB,
            "predict",
            "3 quantiles of 14 steps, linear",
        ),
        "ranking": Kind(
            specs.Ranking(items, k=LISTED), Ridge().fit(x, scores), JOBLIB, "predict", "10 of 500 items, linear"
        ),
    }


def write(folder: Path, kinds: Mapping[str, Kind]) -> None:
    """Write what the peers serve."""
    import joblib

    for name, kind in kinds.items():
        (folder / name).mkdir(parents=True)
        if kind.file == BOOSTED:
            kind.estimator.save_model(str(folder / name / kind.file))
        else:
            joblib.dump(kind.estimator, folder / name / kind.file)
    said = {name: {"file": kind.file, "asked": kind.asked} for name, kind in kinds.items()}
    folder.joinpath("kinds.json").write_text(json.dumps(said))


def _trees(x: Any, label: Any, objective: str, rounds: int) -> Any:
    import lightgbm

    more = {"num_class": CLASSES} if objective == "multiclass" else {}
    return lightgbm.train({"objective": objective, **more, **LEARNS}, lightgbm.Dataset(x, label), rounds)
