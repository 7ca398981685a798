"""Plots of classifiers and regressors: confusion matrix, reliability diagram, residuals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from loopline.platform_core.targets.drawing import Curve, Dot, Drawing, Grid, Plot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.metric import Floats, Predictions

MOST_CLASSES = 20
"""Of a confusion: the most frequent ones, the others together."""
BINS, LEAST_IN_BIN = 10, 20
"""Groups of like readings, of as many rows each: so many at most, of so many rows at least."""
_OTHERS = "others"


def of_classes(rows: Predictions, classes: Sequence[str | int]) -> Iterator[Drawing]:
    """Draw which class was taken for which, and how often the answered one was right by how sure the model was."""
    if not len(rows):
        return
    yield _confusion(rows, classes)
    right = (rows.decided == rows.labels).astype(float)
    yield _reliability(rows.raw.max(axis=1), right, "how sure the answer is", "share of right answers")


def of_label_sets(rows: Predictions) -> Iterator[Drawing]:
    """Draw how often classes hold by the chance that they have, all classes together."""
    if len(rows):
        yield _reliability(rows.raw.ravel(), rows.labels.ravel(), "chance of a class", "share that holds")


def of_numbers(rows: Predictions, unit: str) -> Iterator[Drawing]:
    """Draw by how much rows are missed, by what was expected of them: half of the rows lie within the band."""
    import numpy as np

    if not len(rows):
        return
    groups = [*_groups(rows.raw)]
    missed = [np.quantile(rows.labels[group] - rows.raw[group], (0.5, 0.25, 0.75)).tolist() for group in groups]
    dots = [Dot(_told(rows.raw[group].mean()), *map(_told, part)) for group, part in zip(groups, missed, strict=True)]
    ends = [Dot(dots[0].x, 0.0), Dot(dots[-1].x, 0.0)]
    curves = [Curve("missed by", dots), Curve("right", ends, "bound")]
    axes = (
        f"expected ({unit})" if unit else "expected",
        f"came less expected ({unit})" if unit else "came less expected",
    )
    yield Plot("Residuals", *axes, curves, f"{len(rows)} rows; half of them lie within the band")


def _confusion(rows: Predictions, classes: Sequence[str | int]) -> Grid:
    import numpy as np

    came, said = rows.labels.astype(np.int64), rows.decided.astype(np.int64)
    seen = np.bincount(came, minlength=len(classes)) + np.bincount(said, minlength=len(classes))
    most = sorted(np.argsort(-seen, kind="stable")[:MOST_CLASSES].tolist())
    place = np.full(len(classes), len(most))
    place[most] = np.arange(len(most))
    names = [str(classes[code]) for code in most] + [_OTHERS] * (len(most) < len(classes))
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (place[came], place[said]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    note = f"{len(rows)} rows: of each class that came, the share that was taken for each"
    return Grid("Which class is taken for which", "came", "answered", names, names, shares.round(3).tolist(), note)


def _reliability(sure: Floats, right: Floats, x: str, y: str) -> Plot:
    """Hold how often something is so against how sure the model was of it, with 95 % intervals of Wilson."""
    from loopline.platform_core.metrics import intervals

    dots = []
    for group in _groups(sure):
        found = intervals.share(float(right[group].sum()), float(len(right[group])))
        assert found is not None, "no group is empty"
        dots.append(Dot(*map(_told, (sure[group].mean(), *found))))
    curves = [Curve("came", dots), Curve("as it says", [Dot(0.0, 0.0), Dot(1.0, 1.0)], "bound")]
    return Plot("As sure as it says", x, y, curves, f"{len(sure)} answers; above the line it is too modest")


def _groups(readings: Floats) -> Iterator[NDArray[Any]]:
    """Yield the places of rows of like readings, rising."""
    import numpy as np

    order = np.argsort(readings, kind="stable")
    yield from np.array_split(order, max(1, min(BINS, len(order) // LEAST_IN_BIN)))


def _told(value: float) -> float:
    return float(f"{value:.4g}")
