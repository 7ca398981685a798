"""Metrics of live rows with their confidence intervals: of labelled rows, and those that need no label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loopline.platform_core.metrics import Figure, Metric, Predictions


def realised(rows: Predictions, metrics: Iterable[Metric]) -> Iterator[Figure]:
    """Yield the figures of labelled rows; one that so few rows cannot tell is left out."""
    return _figures([metric for metric in metrics if metric.needs_labels], rows)


def answered(rows: Predictions, metrics: Iterable[Metric]) -> Iterator[Figure]:
    """Yield the figures that need no label, of all rows."""
    return _figures([metric for metric in metrics if not metric.needs_labels], rows)


def _figures(metrics: Iterable[Metric], rows: Predictions) -> Iterator[Figure]:
    for metric in metrics:
        interval = metric.interval(rows)
        if interval is not None:
            yield Figure(metric.name, interval.value, interval.low, interval.high)
