"""A judge for before labels come: how good the candidate seems to be, by what its scores say of themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.judges import Finding, Judge, Traffic

EstimatedMetric = Literal["roc_auc", "recall", "precision", "accuracy"]
DEVIATIONS = 2.0
"""An estimate's interval reaches so many deviations to either side."""


@dataclass(frozen=True)
class EstimatedQuality(Judge):
    """By how much the candidate's estimated ``metric`` lies below ``at_least``; labels are not needed.

    The estimate is that of the newest window of the quality monitor in which the candidate has answered, with its
    interval: harm is proven when all of it lies below, made as wide as ``alpha`` and looking again as rows come ask
    for. It follows a shift of what is asked, and cannot see that the same features have come to mean something else.

    Raises:
        InvalidSpec: the metric is none of those that are estimated and better when higher.
    """

    at_most: float = 0.0
    at_least: float = field(kw_only=True)
    metric: EstimatedMetric = "roc_auc"
    needs_estimates: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a metric that is not estimated."""
        if self.metric not in get_args(EstimatedMetric):
            known = ", ".join(get_args(EstimatedMetric))
            raise InvalidSpec(f"EstimatedQuality: {self.metric!r} is not one of {known}", f"choose one of {known}")

    @property
    def name(self) -> str:
        """Name the judge with its metric."""
        return f"EstimatedQuality({self.metric})"

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Hold the upper end of the estimate against the bound."""
        from statistics import NormalDist

        from loopline.platform_core.specs.sequential import look, spent

        found = next((one for one in candidate.estimates if one.metric == self.metric), None)
        number = look(found.rows)[0] if found else 0
        if found is None or not number:
            return Finding(self.name, None, self.at_most, harm=False, detail="nothing is estimated yet")
        deviation = max(found.value - found.low, found.high - found.value) / DEVIATIONS  # an end may be cut off at 1
        missing = self.at_least - found.value
        least = missing - NormalDist().inv_cdf(1 - spent(number, self.alpha)) * deviation
        detail = (
            f"estimated {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {found.rows} rows, "
            f"{self.at_least:g} is asked for"
        )
        return Finding(self.name, max(missing, 0.0), self.at_most, least > self.at_most, detail)
