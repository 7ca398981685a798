"""Gates: conditions on a version's evaluation metrics that it must meet before deployment."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field

from loopline.platform_core import targets
from loopline.platform_core.errors import InvalidSpec


@dataclass(frozen=True)
class Segment:
    """Metrics of one group of the evaluation rows."""

    rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Evidence:
    """What is known of a candidate.

    Metrics on the evaluation rows, the champion's on the same rows (None when nothing is live), and metrics by
    segment column and value; ``baseline`` are those of who knows nothing but the labels of training.
    """

    metrics: Mapping[str, float]
    champion: Mapping[str, float] | None = None
    segments: Mapping[str, Mapping[str, Segment]] = field(default_factory=dict)
    baseline: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Reading:
    """What a gate found: the value, the bound it was held against, and whether it passes."""

    value: float | None
    bound: float | None
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Gate(abc.ABC):
    """A named, versioned condition; subclass it in a team's package for one of your own."""

    metric: str

    @property
    def name(self) -> str:
        """Name the gate in verdicts and overrides."""
        return f"{type(self).__name__}({self.metric})"

    @abc.abstractmethod
    def judge(self, evidence: Evidence) -> Reading:
        """Hold the evidence against the bound."""


@dataclass(frozen=True)
class AtLeast(Gate):
    """The metric reaches the bound."""

    bound: float
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist, and one of which less is better."""
        if self.metric != targets.ROWS and targets.metric(self.metric).better == "lower":
            raise InvalidSpec(
                f"{self.name} asks for at least {self.bound:g} of a metric of which less is better",
                f"write AtMost({self.metric!r}, {self.bound:g})",
            )

    def judge(self, evidence: Evidence) -> Reading:
        """Compare the metric on the evaluation rows with the bound."""
        value = evidence.metrics.get(self.metric)
        if value is None:
            return Reading(None, self.bound, passed=False, detail=f"no metric {self.metric!r} was measured")
        return Reading(value, self.bound, passed=value >= self.bound)


@dataclass(frozen=True)
class AtMost(Gate):
    """The metric, of which less is better, does not exceed the bound."""

    bound: float
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist, and one of which more is better."""
        if targets.metric(self.metric).better == "higher":
            raise InvalidSpec(
                f"{self.name} asks for at most {self.bound:g} of a metric of which more is better",
                f"write AtLeast({self.metric!r}, {self.bound:g})",
            )

    def judge(self, evidence: Evidence) -> Reading:
        """Compare the metric on the evaluation rows with the bound."""
        value = evidence.metrics.get(self.metric)
        if value is None:
            return Reading(None, self.bound, passed=False, detail=f"no metric {self.metric!r} was measured")
        return Reading(value, self.bound, passed=value <= self.bound)


@dataclass(frozen=True)
class _Beats(Gate):
    """The candidate is better than something else on the same rows."""

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist, and one that says nothing of better or worse."""
        if targets.metric(self.metric).better == "neither":
            fix = "take a metric that says which version is better, such as 'roc_auc'"
            raise InvalidSpec(f"{self.name}: neither more nor less of {self.metric!r} is better", fix)


@dataclass(frozen=True)
class BeatsChampion(_Beats):
    """The candidate is better than the champion on the same rows, less ``tolerance``."""

    tolerance: float = 0.0
    version: int = 1

    def judge(self, evidence: Evidence) -> Reading:
        """Compare both on the same rows; pass when nothing is live yet."""
        value = evidence.metrics.get(self.metric)
        if evidence.champion is None:
            return Reading(value, None, passed=True, detail="no champion yet")
        other = evidence.champion.get(self.metric)
        if value is None or other is None:
            return Reading(value, other, passed=False, detail=f"{self.metric!r} was not measured of both")
        if targets.metric(self.metric).better == "lower":
            return Reading(value, other + self.tolerance, passed=value < other + self.tolerance)
        return Reading(value, other - self.tolerance, passed=value > other - self.tolerance)


@dataclass(frozen=True)
class BeatsBaseline(_Beats):
    """The candidate is better by ``margin`` than what knows nothing but the labels of training, on the same rows."""

    margin: float = 0.0
    version: int = 1

    def judge(self, evidence: Evidence) -> Reading:
        """Compare both on the same rows; what was not measured lets nothing pass."""
        value, other = evidence.metrics.get(self.metric), (evidence.baseline or {}).get(self.metric)
        if value is None or other is None:
            return Reading(value, other, passed=False, detail=f"{self.metric!r} was not measured of both")
        sign = -1 if targets.metric(self.metric).better == "lower" else 1
        bound = other + sign * self.margin
        return Reading(value, bound, passed=sign * (value - bound) > 0, detail=f"the baseline has {other:.4g}")


@dataclass(frozen=True)
class FairAcross(Gate):
    """The metric of every group of ``column`` with ``min_rows`` rows lies within ``within`` of the whole's."""

    column: str
    within: float = 0.1
    min_rows: int = 100
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist."""
        targets.metric(self.metric)

    @property
    def name(self) -> str:
        """Name the gate with its groups."""
        return f"FairAcross({self.metric} by {self.column})"

    def judge(self, evidence: Evidence) -> Reading:
        """Find the group that lies farthest from the whole."""
        whole = evidence.metrics.get(self.metric)
        if whole is None:
            return Reading(None, self.within, passed=False, detail=f"no metric {self.metric!r} was measured")
        groups = {
            value: segment.metrics[self.metric]
            for value, segment in evidence.segments.get(self.column, {}).items()
            if segment.rows >= self.min_rows and self.metric in segment.metrics
        }
        if not groups:
            return Reading(None, self.within, passed=False, detail=f"no group of {self.column!r} has enough rows")
        worst = max(groups, key=lambda value: abs(groups[value] - whole))
        gap = abs(groups[worst] - whole)
        return Reading(gap, self.within, passed=gap <= self.within, detail=f"farthest of {len(groups)}: {worst}")
