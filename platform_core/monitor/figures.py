"""Figures of live rows: what their labels make of each metric, with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from loopline.platform_core.metrics import METRICS, Figure, Metric

if TYPE_CHECKING:
    from loopline.platform_core.foundation.distance import Floats


def realised(
    labels: Floats, scores: Floats, threshold: float, metrics: Iterable[Metric] = METRICS.values()
) -> Iterator[Figure]:
    """Yield the figures of labelled rows; one that so few rows cannot tell is left out."""
    return _figures([metric for metric in metrics if metric.needs_labels], labels, scores, threshold)


def answered(
    labels: Floats, scores: Floats, threshold: float, metrics: Iterable[Metric] = METRICS.values()
) -> Iterator[Figure]:
    """Yield the figures that need no label, of all rows."""
    return _figures([metric for metric in metrics if not metric.needs_labels], labels, scores, threshold)


def _figures(metrics: Iterable[Metric], labels: Floats, scores: Floats, threshold: float) -> Iterator[Figure]:
    for metric in metrics:
        interval = metric.interval(labels, scores, threshold)
        if interval is not None:
            yield Figure(metric.name, interval.value, interval.low, interval.high)
