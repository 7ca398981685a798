"""Neural network family: one hidden layer, with early stopping on the validation rows."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from loopline.platform_core.specs.families.family import Family, Learning
from loopline.platform_core.specs.families.prepared import prepared
from loopline.platform_core.specs.space import Range, log_range

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Estimator, Params

_ROUNDS, _PATIENCE = 60, 8


def fit(learning: Learning, params: Params) -> Estimator:
    """Learn round after round until the validation rows see no better network for ``_PATIENCE`` rounds."""
    from sklearn.pipeline import Pipeline

    preparing = prepared(learning.train).fit(learning.train.x)
    rows, network = preparing.transform(learning.train.x), _network(learning, params)
    labels, middle, spread = _scaled(learning)
    held_out = preparing.transform(learning.valid.x)
    best, highest, waited = None, float("-inf"), 0
    for number in range(1, _ROUNDS + 1):
        network.partial_fit(rows, labels, **_classes(learning))
        now = _unscaled(network, middle, spread)
        score = learning.judge(now, held_out)
        best, highest, waited = (now, score, 0) if best is None or score > highest else (best, highest, waited + 1)
        if waited == _PATIENCE:
            break
        learning.report(number, score)
    done: Estimator = Pipeline([("prepared", preparing), ("network", best)])
    return done


def _network(learning: Learning, params: Params) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if learning.learns == "classes" else MLPRegressor
    rate, layers = params["learning_rate"], (int(params["units"]),)
    return kind(hidden_layer_sizes=layers, alpha=params["decay"], learning_rate_init=rate, random_state=0)


def _classes(learning: Learning) -> dict[str, Any]:
    """Name the classes that there are: the first rows need not show them."""
    import numpy as np

    return {"classes": np.unique(learning.train.y)} if learning.learns == "classes" else {}


def _scaled(learning: Learning) -> tuple[Any, float, float]:
    """Return labels on the scale of 1 with what that took; classes have none."""
    labels = learning.train.y
    if learning.learns == "classes":
        return labels, 0.0, 1.0
    middle, spread = float(labels.mean()), float(labels.std()) or 1.0
    return (labels - middle) / spread, middle, spread


def _unscaled(network: Any, middle: float, spread: float) -> Any:
    """Copy a network; one of numbers says them on the labels' own scale, which its last layer can do by itself."""
    told = deepcopy(network)
    if (middle, spread) != (0.0, 1.0):
        told.coefs_[-1] = told.coefs_[-1] * spread
        told.intercepts_[-1] = told.intercepts_[-1] * spread + middle
    return told


NETWORK = Family(
    "network",
    {
        "units": Range(8, 128, log=True, whole=True),
        "decay": log_range(1e-5, 1e-1),
        "learning_rate": log_range(3e-4, 3e-2),
    },
    {"units": 32, "decay": 1e-4, "learning_rate": 3e-3},
    fit,
)
