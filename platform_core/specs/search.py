"""The space of parameters in which training looks for the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopline.platform_core import metrics
from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    from loopline.platform_core.metrics import Metric


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``log`` spreads them by magnitude."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[str | float | int | bool, ...]


Dimension = Range | Choice


def uniform(low: float, high: float) -> Range:
    """Any number between two."""
    return Range(low, high)


def log_range(low: float, high: float) -> Range:
    """Any number between two, spread by magnitude."""
    return Range(low, high, log=True)


def int_range(low: int, high: int) -> Range:
    """Any whole number between two."""
    return Range(low, high, whole=True)


def choice(*values: str | float | bool) -> Choice:
    """One of these values."""
    return Choice(values)


@dataclass(frozen=True)
class Search:
    """How many trials over which space, maximising ``metric`` on the validation rows.

    With ``parallel`` each trial is a task of its own with the model's requirements, so many at a time; without it all
    of them are done by the training itself, one for each of its cores at a time.
    """

    trials: int
    space: Mapping[str, Dimension] = field(default_factory=dict)
    metric: str = "roc_auc"
    parallel: int = 0

    def __post_init__(self) -> None:
        """Refuse a metric by which nothing can be searched, and a number that is none."""
        searched(self.metric)
        if self.parallel < 0:
            raise InvalidSpec(f"a search runs {self.parallel} trials at a time", "say how many, or leave it out")


def searched(name: str) -> Metric:
    """Return the metric that a search is for.

    Raises:
        InvalidSpec: no metric of this name says what is better without a threshold.
    """
    known = [one.name for one in metrics.METRICS.values() if one.better != "neither" and not one.needs_threshold]
    if name not in known:
        raise metrics.unknown(name, known, "search metric")
    return metrics.metric(name)
