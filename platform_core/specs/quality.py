"""Spec of live quality: time windows, metrics, segments and fairness rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loopline.platform_core import targets
from loopline.platform_core.specs.judges.gates import FairAcross

if TYPE_CHECKING:
    from loopline.platform_core.metrics import Metric
    from loopline.platform_core.specs.model import Model
    from loopline.platform_core.targets import Target


@dataclass(frozen=True)
class Quality:
    """By which windows the live quality is measured.

    Windows are ``days`` long, by the time of the event, and begin with a Monday if that makes weeks. Segments with
    fewer than ``min_rows`` answers in a window are not measured. A label counts when its example is ``wait_days`` old:
    by then labels of every class are known. With None the platform finds out from the labels that there are.
    ``metrics`` names what is followed beside the usual; what a gate or the search names is followed anyway.
    """

    days: int = 28
    min_rows: int = 20
    wait_days: float | None = None
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist."""
        for name in self.metrics:
            targets.metric(name)


@dataclass(frozen=True)
class Fairness:
    """The ``metric`` of every group of ``column`` should lie within ``within`` of the whole's, live.

    Left out it is the first of the kind that tells of groups; which there are, and what each means, the how-to
    on fairness says. ``within`` is in the metric's unit. A group counts from ``min_rows`` rows in a window on. It warns
    when a gap is proven, not when chance could have made it.
    """

    column: str
    metric: str = ""
    within: float = 0.1
    min_rows: int = 20

    def __post_init__(self) -> None:
        """Refuse a metric by which groups cannot be compared."""
        of_groups = targets.metrics(lambda one: one.of_groups)
        if self.metric and self.metric not in of_groups:
            raise targets.unknown(self.metric, of_groups, "group metric")

    def of(self, target: Target) -> str:
        """Return the metric by which models of a target are held to it."""
        return self.metric or next(name for name, one in target.metrics.items() if one.of_groups)


def watched_metrics(model: Model) -> list[Metric]:
    """Return what is measured live: what always is, and what the model's gates, search and quality name."""
    asked = {*model.quality.metrics, model.searched, *(gate.metric for gate in model.gates)}
    return [metric for metric in model.target.metrics.values() if metric.followed or metric.name in asked]


def unit(model: Model | None, metric: str) -> str | None:
    """Return what a metric's figures are told in, as ``Metric.unit``.

    Of a model that nobody declares any more it is as the first kind has it that has such a metric.
    """
    found = model.target.metrics.get(metric) if model else None
    every = (kind().metrics.get(metric) for kind in targets.known())
    found = found or next((one for one in every if one), None)
    return found.unit if found else None


def watched_segments(model: Model) -> tuple[str, ...]:
    """Return the columns by which live figures are split: those the model names, else those of its labels."""
    return model.segments or model.labels.segments


def watched_fairness(model: Model) -> tuple[Fairness, ...]:
    """Return what is declared; else what the gates ask of a version, asked of what it does live.

    How many rows a group must have is not taken over: a month has fewer, and here intervals see to small groups.
    """
    has = any(one.of_groups for one in model.target.metrics.values())
    if model.fairness:
        return tuple(replace(rule, metric=rule.of(model.target)) for rule in model.fairness) if has else ()
    gates = (gate for gate in model.gates if isinstance(gate, FairAcross))
    return tuple(
        Fairness(gate.column, gate.metric, gate.within)
        for gate in gates
        if gate.metric in model.target.metrics and model.target.metrics[gate.metric].of_groups
    )
