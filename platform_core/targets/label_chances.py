"""Multilabel probabilities from an estimator, in whichever form it returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.targets.fitted_as import made_by

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

_WHOLE, _ENOUGH = 1e-6, 50
"""How near to 1 the chances of every row add up where they are those of one class of several, and of how many rows that
tells it: of a few it may be chance."""


def label_chances(estimator: Any, x: Floats, width: int) -> Floats:
    """Return chances (rows, width).

    Scikit-learn's estimators give an array (rows, classes), or for each class one of (rows, 2); a class that always
    held, or never, when they were fitted has one column.

    Raises:
        InvalidSpec: the estimator does not say of each class whether it holds.
    """
    import numpy as np

    ask = getattr(estimator, "predict_proba", None) or estimator.predict
    given = ask(x)
    by_class = isinstance(given, list | tuple)
    if by_class:
        learnt = getattr(estimator, "classes_", [None] * len(given))
        given = np.column_stack([_holds(np.asarray(one), seen) for one, seen in zip(given, learnt, strict=True)])
    found = np.asarray(given, dtype=np.float64)
    if found.shape != (len(x), width):
        raise _refused(estimator, f"gives numbers of shape {found.shape}", width)
    if len(found) and (found.min() < 0 or found.max() > 1):
        raise _refused(estimator, "gives numbers that are no chances", width, "Regression()")
    if not by_class and len(found) >= _ENOUGH and abs(found.sum(axis=1) - 1).max() < _WHOLE:
        raise _refused(estimator, "tells one class of several", width, "Multiclass(classes=(...))")
    return found


def _holds(given: Floats, learnt: Any) -> Floats:
    """Return the chance that a class holds, of (rows, 2), or of (rows, 1) where it always did, or never."""
    import numpy as np

    if given.shape[1] > 1:
        return np.asarray(given[:, 1])
    always = learnt is not None and len(learnt) == 1 and float(learnt[0]) > 0
    return np.full(len(given), float(always))


def _refused(estimator: Any, why: str, width: int, instead: str = "Multiclass(classes=(...))") -> InvalidSpec:
    return InvalidSpec(
        f"'fit' returned a {made_by(estimator)}, which {why}: the model's target is Multilabel of {width} classes",
        f"return a classifier that was fitted on 'y' as it is, (rows, {width}) of 0 and 1, such as a "
        f"MultiOutputClassifier, or declare another target, such as Model(target={instead})",
    )
