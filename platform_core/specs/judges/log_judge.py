"""Rollout judge by a team's own metric over the prediction log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.import_path import imported
from loopline.platform_core.specs.judges.judges import Finding, Judge, Traffic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogMetric(Judge):
    """The mean of a team's own ``metric`` over the candidate's rows of the prediction log.

    ``metric`` takes the rows (an Arrow table, oldest first; its columns are the serving contract's) and returns a
    number for each row, or for each group of rows, between ``lowest`` and ``highest``; or it is the import path
    ``package.module:function`` of such a function. Groups are to be independent of one another and complete: a
    request, an hour that is over.

    Raises:
        InvalidSpec: ``at_most`` is not within the range.
    """

    metric: str | Callable[[Any], Any] = field(kw_only=True)
    lowest: float = 0.0
    highest: float = 1.0
    min_rows: int = 30

    def __post_init__(self) -> None:
        """Refuse a bound that no mean, or every mean, lies above."""
        if not self.lowest <= self.at_most < self.highest:
            problem = f"{self.name}: at_most {self.at_most:g} is not within {self.lowest:g} and {self.highest:g}"
            raise InvalidSpec(problem, "give the judge the metric's range: lowest=..., highest=...")

    @property
    def name(self) -> str:
        """Name the judge with its metric."""
        named = self.metric if isinstance(self.metric, str) else getattr(self.metric, "__name__", "metric")
        return f"LogMetric({named.rpartition(':')[2]})"

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the mean of the metric with the bound."""
        from loopline.platform_core.specs.judges.sequential import evidence_of_mean

        values = self._measured(candidate)
        if len(values) < self.min_rows:
            return Finding(self.name, None, self.at_most, harm=False, detail=f"{len(values)} of {self.min_rows} values")
        span = self.highest - self.lowest
        strength = evidence_of_mean((values - self.lowest) / span, (self.at_most - self.lowest) / span)
        proven = strength >= 1 / self.alpha
        return Finding(self.name, float(values.mean()), self.at_most, proven, f"{len(values)} values")

    def _measured(self, candidate: Traffic) -> Floats:
        """Return the finite values.

        Raises:
            InvalidSpec: the metric is no function, or gave a value out of its range.
        """
        import numpy as np

        if candidate.log is None:
            return np.empty(0)
        metric = imported(self.metric) if isinstance(self.metric, str) else self.metric
        values = np.asarray(metric(candidate.log), dtype=np.float64)
        values = values[np.isfinite(values)]
        wrong = values[(values < self.lowest) | (values > self.highest)]
        if len(wrong):
            problem = f"{self.name} gave {wrong[0]:g}, which is not within {self.lowest:g} and {self.highest:g}"
            raise InvalidSpec(problem, "clip it there, or give the judge its range: lowest=..., highest=...")
        return values
