"""Every metric that there is, defined once: a new one is a line here, and training, gates and live windows know it.

Importing this imports no library: numbers are computed by what is called.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.metrics.losses import MeanLoss, squares, surprise
from loopline.platform_core.metrics.metric import Figure, Metric, Ranked, in_order
from loopline.platform_core.metrics.rankings import AreaUnderRoc, AveragePrecision
from loopline.platform_core.metrics.shares import F1, Share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loopline.platform_core.metrics.metric import Floats

__all__ = ["GROUP_METRICS", "METRICS", "ROWS", "Figure", "Metric", "Ranked", "Share", "metric", "values"]

ROWS = "rows"
"""Beside the metrics training tells how many rows they are of, and a gate may ask for so many."""
_ALL = (
    AreaUnderRoc("roc_auc"),
    AveragePrecision("average_precision", followed=False),
    MeanLoss("log_loss", top=float("inf"), loss=surprise),
    MeanLoss("brier", loss=squares),
    Share("recall", count=lambda chances, flagged: (chances, chances * flagged), of_groups=True),
    Share("precision", count=lambda chances, flagged: (flagged, chances * flagged), of_groups=True),
    F1("f1", followed=False),
    Share("accuracy", count=lambda chances, flagged: (flagged | True, chances * flagged + (1 - chances) * ~flagged)),
    Share(
        "false_positive_rate",
        better="lower",
        followed=False,
        count=lambda chances, flagged: (1 - chances, (1 - chances) * flagged),
        of_groups=True,
    ),
    Share(
        "positive_rate",
        better="neither",
        needs_labels=False,
        count=lambda _, flagged: (flagged | True, flagged),
        of_groups=True,
    ),
    Share(
        "positives", better="neither", needs_threshold=False, count=lambda chances, flagged: (flagged | True, chances)
    ),
)
METRICS: dict[str, Metric] = {one.name: one for one in _ALL}
"""By name. ``positive_rate`` is the share of rows that are flagged, ``positives`` the share that is positive."""
GROUP_METRICS: dict[str, Share] = {one.name: one for one in _ALL if isinstance(one, Share) and one.of_groups}
"""Those by which groups are held against the whole."""


def metric(name: str) -> Metric:
    """Return a metric.

    Raises:
        InvalidSpec: there is none of this name.
    """
    if name not in METRICS:
        raise unknown(name, METRICS)
    return METRICS[name]


def unknown(name: str, known: Iterable[str], kind: str = "metric") -> InvalidSpec:
    """Say that there is no metric of a kind and name, and which was meant."""
    names = list(known)
    near = get_close_matches(name.lower(), names, n=1)
    return InvalidSpec(f"no {kind} {name!r}", f"write {near[0]!r}" if near else f"use one of {', '.join(names)}")


def values(labels: Floats, scores: Floats, threshold: float, names: Iterable[str] = METRICS) -> dict[str, float]:
    """Return the metrics of labelled rows by name; one that is not defined for them is left out."""
    return dict(_values(labels, scores, threshold, names))


def _values(labels: Floats, scores: Floats, threshold: float, names: Iterable[str]) -> Iterator[tuple[str, float]]:
    rows = in_order(labels, scores, threshold)
    for name in names:
        value = METRICS[name].of(*rows)
        if value is not None:
            yield name, value
