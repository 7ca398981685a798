"""Figures of a classifier from labels and scores, each with its interval; and a set of rows' figures by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loopline.platform_core.monitor import intervals
from loopline.platform_core.monitor.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.specs.quality import GroupMetric

Reading = Callable[["Floats", "Floats", float], Interval | None]
"""``reading(labels, scores, threshold)``; labels are 0 and 1, a score reaches the threshold to be flagged."""
SURE = float(np.finfo(np.float64).eps)
"""A probability counts as at least this and at most 1 less this, as scikit-learn has it."""


class Figure(NamedTuple):
    """A metric and what it is: ``low`` and ``high`` hold the truth in 95 of 100 cases."""

    metric: str
    value: float
    low: float
    high: float


def realised(labels: Floats, scores: Floats, threshold: float) -> Iterator[Figure]:
    """Yield the figures of labelled rows; one that so few rows cannot tell is left out."""
    for name, reading in READINGS.items():
        found = reading(labels, scores, threshold)
        if found is not None:
            yield Figure(name, *found)


def asked(
    metric: GroupMetric, labels: Floats, scores: Floats, threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the rows of which a metric is the share, and the hits among all rows; NaN is no label."""
    positive, flagged = labels > 0, scores >= threshold
    looked: dict[GroupMetric, NDArray[np.bool_]] = {
        "recall": positive,
        "false_positive_rate": labels <= 0,
        "precision": flagged,
        "positive_rate": np.ones(len(scores), dtype=np.bool_),
    }
    return looked[metric], positive if metric == "precision" else flagged


def share(metric: GroupMetric, labels: Floats, scores: Floats, threshold: float) -> Interval | None:
    """Return the share of hits; None while it looks at no row."""
    looked, hits = asked(metric, labels, scores, threshold)
    return intervals.share(float(hits[looked].sum()), float(looked.sum()))


def accuracy(labels: Floats, scores: Floats, threshold: float) -> Interval | None:
    """Return the share of rows that are told right."""
    right = (scores >= threshold) == (labels > 0)
    return intervals.share(float(right.sum()), len(labels))


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return each row's surprise (nats)."""
    given = np.clip(scores, SURE, 1 - SURE)
    return np.asarray(-np.log(np.where(labels > 0, given, 1 - given)), dtype=np.float64)


READINGS: dict[str, Reading] = {
    "roc_auc": lambda labels, scores, _: intervals.area(labels, scores),
    "recall": partial(share, "recall"),
    "precision": partial(share, "precision"),
    "accuracy": accuracy,
    "log_loss": lambda labels, scores, _: intervals.mean(log_losses(labels, scores)),
    "brier": lambda labels, scores, _: intervals.mean((scores - (labels > 0)) ** 2),
    "positives": lambda labels, scores, _: intervals.share(float((labels > 0).sum()), len(scores)),
}
"""What is measured once labels have come: ``positives`` is their share, the others as in ``training.evaluate``."""
POSITIVE_RATE: GroupMetric = "positive_rate"
"""The share of rows that are flagged, which is known at once."""
