"""Figures of a classifier from labels and scores, each with its interval; and a set of rows' figures by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from platform_core.monitor import intervals
from platform_core.monitor.intervals import CONFIDENCE, Interval

if TYPE_CHECKING:
    from platform_core.monitor.distance import Floats

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


def flagged_share(scores: Floats, threshold: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the share of scores that reach the threshold, for which no label is needed."""
    return intervals.share(float((scores >= threshold).sum()), len(scores), confidence)


def recall(labels: Floats, scores: Floats, threshold: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the share of positives that are flagged."""
    return flagged_share(scores[labels > 0], threshold, confidence)


def false_positive_rate(
    labels: Floats, scores: Floats, threshold: float, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return the share of negatives that are flagged."""
    return flagged_share(scores[labels <= 0], threshold, confidence)


def precision(labels: Floats, scores: Floats, threshold: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the share of flagged rows that are positive."""
    flagged = scores >= threshold
    return intervals.share(float((labels[flagged] > 0).sum()), float(flagged.sum()), confidence)


def accuracy(labels: Floats, scores: Floats, threshold: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the share of rows that are told right."""
    right = (scores >= threshold) == (labels > 0)
    return intervals.share(float(right.sum()), len(labels), confidence)


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return each row's surprise (nats)."""
    given = np.clip(scores, SURE, 1 - SURE)
    return np.asarray(-np.log(np.where(labels > 0, given, 1 - given)), dtype=np.float64)


READINGS: dict[str, Reading] = {
    "roc_auc": lambda labels, scores, _: intervals.area(labels, scores),
    "recall": recall,
    "precision": precision,
    "accuracy": accuracy,
    "log_loss": lambda labels, scores, _: intervals.mean(log_losses(labels, scores)),
    "brier": lambda labels, scores, _: intervals.mean((scores - (labels > 0)) ** 2),
    "positives": lambda labels, scores, _: intervals.share(float((labels > 0).sum()), len(scores)),
}
"""What is measured once labels have come: ``positives`` is their share, the others as in ``training.evaluate``."""
POSITIVE_RATE = "positive_rate"
"""The share of rows that are flagged, which is known at once."""
METRICS = (*READINGS, POSITIVE_RATE)
