"""What is measured of a live model: by which windows, and between which groups it is to be fair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.specs.gates import FairAcross

if TYPE_CHECKING:
    from loopline.platform_core.specs.model import Model

GroupMetric = Literal["recall", "positive_rate", "precision", "false_positive_rate"]
GROUP_METRICS: tuple[GroupMetric, ...] = ("recall", "positive_rate", "precision", "false_positive_rate")


@dataclass(frozen=True)
class Quality:
    """By which windows the live quality is measured.

    Windows are ``days`` long, by the time of the event, and begin with a Monday if that makes weeks. Segments with
    fewer than ``min_rows`` answers in a window are not measured. A label counts when its example is ``wait_days`` old:
    by then labels of both kinds are known. With None the platform finds out from the labels that there are.
    """

    days: int = 28
    min_rows: int = 20
    wait_days: float | None = None


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
        for metric in GROUP_METRICS
        if gate.metric == metric
    )
