"""Rollout judge by estimated quality, before labels come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core import targets
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.judges.judges import Finding, Judge, Traffic, preferred

if TYPE_CHECKING:
    from loopline.platform_core.metrics import Metric
    from loopline.platform_core.specs.judges.judges import Estimate
    from loopline.platform_core.targets import Target

DEVIATIONS = 2.0
"""An estimate's interval reaches so many deviations to either side."""


@dataclass(frozen=True)
class EstimatedQuality(Judge):
    """By how much the candidate's estimated ``metric`` is worse than ``no_worse_than``; labels are not needed.

    ``metric`` is one that is estimated (left out: the one that the model is searched by, or else the first of its
    kind). Of one of which more is better ``at_least`` says the same.

    The estimate is that of the newest window of the quality monitor in which the candidate has answered, with its
    interval: harm is proven when all of it is worse, made as wide as ``alpha`` and looking again as rows come ask for.
    It follows a shift of what is asked, and cannot see that the same features have come to mean something else.

    Raises:
        InvalidSpec: no kind estimates the metric, or says that a version should have more of it, or less; there is not
        one bound; ``at_least`` is the bound of a metric of which less is better.
    """

    at_most: float = 0.0
    at_least: float | None = field(default=None, kw_only=True)
    no_worse_than: float | None = field(default=None, kw_only=True)
    metric: str = ""
    needs_estimates: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a metric that is not estimated, and a bound that it cannot have."""
        if (self.at_least is None) == (self.no_worse_than is None):
            raise InvalidSpec("EstimatedQuality has not one bound", "write at_least=... or no_worse_than=...")
        known = {name: one for kind in targets.known() for name, one in estimable(kind()).items()}
        if self.metric and self.metric not in known:
            raise targets.unknown(self.metric, known, "metric that is estimated")
        if self.metric and self.at_least is not None and known[self.metric].better == "lower":
            problem, fix = _mistaken(self.metric, self.at_least)
            raise InvalidSpec(f"EstimatedQuality: {problem}", fix)

    @property
    def name(self) -> str:
        """Name the judge with its metric, where it names one."""
        return f"EstimatedQuality({self.metric})" if self.metric else "EstimatedQuality"

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Hold the better end of the estimate against the bound."""
        from loopline.platform_core.specs.judges.sequential import look

        target = candidate.target
        for problem, fix in self.problems(target):
            return self.silent(f"{problem}: {fix}")
        if not self.metric:
            return replace(self, metric=self._of(target)).find(candidate, stable)
        found = next((one for one in candidate.estimates if one.metric == self.metric), None)
        number = look(found.rows)[0] if found else 0
        if found is None or not number:
            return self.silent("nothing is estimated yet")
        return self._held(target.metrics[self.metric], found, number)

    def problems(self, target: Target) -> Iterator[tuple[str, str]]:
        """Ask for a metric that the kind estimates, and for a bound that it can have."""
        known = estimable(target)
        metric = known.get(self._of(target))
        if target.estimation is None:
            yield f"nothing of a {target.kind} model is estimated, {target.not_estimated}", "judge by RealisedQuality"
        elif metric is None:
            yield f"{self.metric} of a {target.kind} model is not estimated", f"name one of {', '.join(known)}"
        elif self.at_least is not None and metric.better == "lower":
            yield _mistaken(metric.name, self.at_least)

    def _of(self, target: Target) -> str:
        known = estimable(target)
        return self.metric or preferred(target, lambda one: one.name in known)

    def _held(self, metric: Metric, found: Estimate, number: int) -> Finding:
        from statistics import NormalDist

        from loopline.platform_core.metrics.metric import said
        from loopline.platform_core.specs.judges.sequential import spent

        bound = self.no_worse_than if self.at_least is None else self.at_least
        assert bound is not None
        deviation = max(found.value - found.low, found.high - found.value) / DEVIATIONS  # an end may be cut off at 1
        missing = found.value - bound if metric.better == "lower" else bound - found.value
        least = missing - NormalDist().inv_cdf(1 - spent(number, self.alpha)) * deviation
        value, low, high = said(found.value, found.low, found.high)
        detail = f"estimated {value} ({low} to {high}) on {found.rows} rows, {bound:g} is asked for"
        return Finding(self.name, max(missing, 0.0), self.at_most, least > self.at_most, detail)


def estimable(target: Target) -> dict[str, Metric]:
    """Return the metrics by which a target's versions can be judged before labels come."""
    names = target.estimation.metrics(target) if target.estimation else ()
    return {name: target.metrics[name] for name in names if target.metrics[name].better != "neither"}


def _mistaken(metric: str, bound: float) -> tuple[str, str]:
    return f"less {metric} is better, at_least={bound:g} bounds nothing", f"write no_worse_than={bound:g}"
