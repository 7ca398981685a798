"""What is measured of a live model: by which windows, and between which groups it is to be fair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from loopline.platform_core import metrics
from loopline.platform_core.specs.gates import FairAcross

if TYPE_CHECKING:
    from loopline.platform_core.metrics import Metric
    from loopline.platform_core.specs.model import Model

GroupMetric = Literal["recall", "positive_rate", "precision", "false_positive_rate"]
"""The names of ``metrics.GROUP_METRICS``, for whoever declares one with a type checker."""


@dataclass(frozen=True)
class Quality:
    """By which windows the live quality is measured.

    Windows are ``days`` long, by the time of the event, and begin with a Monday if that makes weeks. Segments with
    fewer than ``min_rows`` answers in a window are not measured. A label counts when its example is ``wait_days`` old:
    by then labels of both kinds are known. With None the platform finds out from the labels that there are. ``metrics``
    names what is followed beside the usual, such as "f1"; what a gate or the search names is followed anyway.
    """

    days: int = 28
    min_rows: int = 20
    wait_days: float | None = None
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist."""
        for name in self.metrics:
            metrics.metric(name)


@dataclass(frozen=True)
class Fairness:
    """The ``metric`` of every group of ``column`` should lie within ``within`` of the whole's, live.

    ``recall`` is equal opportunity, ``positive_rate`` demographic parity, ``precision`` predictive parity, and
    ``recall`` with ``false_positive_rate`` equalised odds. A group counts from ``min_rows`` rows in a window on. It
    warns when a gap is proven, not when chance could have made it.
    """

    column: str
    metric: GroupMetric = "recall"
    within: float = 0.1
    min_rows: int = 20

    def __post_init__(self) -> None:
        """Refuse a metric by which groups cannot be compared."""
        if self.metric not in metrics.GROUP_METRICS:
            raise metrics.unknown(self.metric, metrics.GROUP_METRICS, "group metric")


def watched_metrics(model: Model) -> list[Metric]:
    """Return what is measured live: what always is, and what the model's gates, search and quality name."""
    asked = {*model.quality.metrics, model.search.metric, *(gate.metric for gate in model.gates)}
    return [metric for metric in metrics.METRICS.values() if metric.followed or metric.name in asked]


def watched_segments(model: Model) -> tuple[str, ...]:
    """Return the columns by which live figures are split: those the model names, else those of its labels."""
    return model.segments or model.labels.segments


def watched_fairness(model: Model) -> tuple[Fairness, ...]:
    """Return what is declared; else what the gates ask of a version, asked of what it does live.

    How many rows a group must have is not taken over: a month has fewer, and here intervals see to small groups.
    """
    if model.fairness:
        return model.fairness
    gates = (gate for gate in model.gates if isinstance(gate, FairAcross))
    return tuple(
        Fairness(gate.column, metric, gate.within)
        for gate in gates
        for metric in get_args(GroupMetric)
        if gate.metric == metric
    )
