"""Class probabilities from an estimator that may have seen fewer classes in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.targets.fitted_as import made_by, regresses

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

_PROBABLE = {"multiclass", "multiclassova", "binary", "cross_entropy", "custom"}
"""LightGBM's objectives whose booster predicts probabilities; of one of a team's own nobody knows."""
_OFF = 1e-3
"""By how much the probabilities of a row may miss 1."""


def class_chances(estimator: Any, x: Floats, width: int) -> Floats:
    """Return probabilities (rows, width), or (rows,) of the second of two classes.

    Raises:
        InvalidSpec: the estimator tells no classes apart, or others than positions from 0 to ``width`` - 1.
    """
    import numpy as np

    if hasattr(estimator, "predict_proba"):
        return _whole(estimator, _spread(estimator, np.asarray(estimator.predict_proba(x), dtype=np.float64), width))
    if regresses(estimator, _PROBABLE):
        raise _refused(estimator, "is a regressor", width, "Regression()")
    given = np.asarray(estimator.predict(x), dtype=np.float64)
    if given.ndim == 1 and width == 2 and np.all((given >= 0) & (given <= 1)):  # noqa: PLR2004 - of two the second
        return given
    if given.shape != (len(x), width):
        raise _refused(estimator, f"has no predict_proba, and predicts numbers of shape {given.shape}", width)
    return _whole(estimator, given)


def _spread(estimator: Any, given: Floats, width: int) -> Floats:
    """Put the columns of the classes that an estimator has learnt at their places; ``classes_`` names them."""
    import numpy as np

    learnt = getattr(estimator, "classes_", None)
    if learnt is None and given.ndim > 1 and given.shape[1] == width:
        return given
    codes = np.asarray([] if learnt is None else learnt)
    if given.shape != (len(given), len(codes)) or not np.isin(codes, np.arange(width)).all():
        raise _refused(estimator, f"gives probabilities of shape {given.shape} for classes {codes.tolist()}", width)
    if np.array_equal(codes, np.arange(width)):
        return given
    spread = np.zeros((len(given), width))
    spread[:, codes.astype(np.int64)] = given
    return spread


def _whole(estimator: Any, given: Floats) -> Floats:
    """Refuse what is no share of a whole, as what one tree says of each class against the rest."""
    import numpy as np

    if len(given) and np.abs(given.sum(axis=1) - 1).max() > _OFF:
        why = "gives probabilities that do not add up to 1, as objective 'multiclassova' does"
        raise _refused(estimator, why, given.shape[1])
    return given


def _refused(estimator: Any, why: str, width: int, instead: str = "Binary()") -> InvalidSpec:
    return InvalidSpec(
        f"'fit' returned a {made_by(estimator)}, which {why}: the model's target is Multiclass of {width} classes",
        f"return a classifier that was fitted on 'y' as it is, the classes' positions from 0 to {width - 1}, "
        f"or declare another target, such as Model(target={instead})",
    )
