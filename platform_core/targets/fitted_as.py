"""Inspects an estimator (classifier, regressor, booster objective) without importing its library."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

_CLASSIFIES = {"binary", "multiclass", "multiclassova", "cross_entropy", "lambdarank"}
"""LightGBM's objectives whose booster predicts no number of the label's own kind."""


def made_by(estimator: Any) -> str:
    """Name an estimator's class."""
    return type(estimator).__name__


def numbers(estimator: Any, x: Floats, wanted: str) -> Floats:
    """Return the number that an estimator predicts of each row, as it gives them.

    Raises:
        InvalidSpec: it is no regressor; ``wanted`` says for what it was taken.
    """
    import numpy as np

    if hasattr(estimator, "predict_proba") or booster_objective(estimator) in _CLASSIFIES:
        raise _refused(estimator, "is a classifier", wanted)
    given = np.asarray(estimator.predict(x), dtype=np.float64)
    if given.shape not in {(len(x),), (len(x), 1)}:
        raise _refused(estimator, f"predicts numbers of shape {given.shape} for {len(x)} rows", wanted)
    return given


def _refused(estimator: Any, why: str, wanted: str) -> InvalidSpec:
    return InvalidSpec(
        f"'fit' returned a {made_by(estimator)}, which {why}: the model's target is {wanted}",
        "return a regressor, or declare another target: Model(target=Binary()) for labels 0 and 1, "
        "Model(target=Multiclass(classes=(...))) for more",
    )


def asked_by(estimator: Any) -> str:
    """Name the function by which an estimator says all that it knows of rows."""
    return "predict_proba" if hasattr(estimator, "predict_proba") else "predict"


def regresses(estimator: Any, others: Container[str]) -> bool:
    """Say whether it is scikit-learn's kind of regressor, or a booster of an objective that is none of ``others``."""
    bases = {base.__name__ for base in type(estimator).__mro__}
    if "RegressorMixin" in bases or getattr(estimator, "_estimator_type", "") == "regressor":
        return True
    objective = booster_objective(estimator)
    return bool(objective) and objective not in others


def booster_objective(estimator: Any) -> str:
    """Return the objective of LightGBM's own booster, "" of anything else."""
    if not any(base.__module__.partition(".")[0] == "lightgbm" for base in type(estimator).__mro__):
        return ""
    if not hasattr(estimator, "model_to_string"):
        return ""
    found = re.search(r"^objective=(\w+)", estimator.model_to_string(num_iteration=1), re.MULTILINE)
    return found[1] if found else ""
