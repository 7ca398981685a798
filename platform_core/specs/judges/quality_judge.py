"""Rollout judge by realised quality, once labels have come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core import targets
from loopline.platform_core.metrics import Losses
from loopline.platform_core.specs.judges.judges import Finding, Judge, Traffic, preferred

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.specs.judges.judges import Pairs
    from loopline.platform_core.targets import Target

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RealisedQuality(Judge):
    """By how much the candidate's realised metric is worse than the stable version's, of the rows with a label.

    ``metric`` is one whose rows can be compared (left out: the one that the model is searched by, or else the first of
    its kind), and ``at_most`` is in its unit: with 0.02 it may become worse by 0.02. Both versions' losses of the same
    rows are compared, from ``min_labels`` on; where no row was replayed, those of rows that each answered while both
    did, as two samples of so many each. Where requests can be replayed each of the two ways has half of ``alpha``.
    """

    metric: str = ""
    min_labels: int = 100
    needs_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a metric that cannot be compared."""
        known = targets.metrics(lambda one: one.is_compared)
        if self.metric and self.metric not in known:
            raise targets.unknown(self.metric, known, "metric of realised quality")

    @property
    def name(self) -> str:
        """Name the judge with its metric, where it names one."""
        return f"RealisedQuality({self.metric})" if self.metric else "RealisedQuality"

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare how much worse the candidate is at least with the bound; silent where single rows say nothing."""
        for problem, fix in self.problems(candidate.target):
            return self.silent(f"{problem}: {fix}")
        if not self.metric:
            return replace(self, metric=self._of(candidate.target)).find(candidate, stable)
        pairs = candidate.pairs
        if pairs is None:
            return self._apart(candidate, stable, self.alpha)
        if len(pairs.labels):
            return self._paired(candidate.target, pairs, self.alpha / 2)
        return self._apart(candidate, stable, self.alpha / 2)

    def problems(self, target: Target) -> Iterator[tuple[str, str]]:
        """Ask for a metric of the kind of which single rows say something."""
        metric = target.metrics.get(self._of(target))
        compared = [name for name, one in target.metrics.items() if one.is_compared]
        if metric is None or not metric.is_compared:
            problem = f"no row of a {target.kind} model loses any {self.metric or 'of its metrics'}"
            yield problem, f"name one of {', '.join(compared)}" if compared else "judge by another judge"
        elif metric.not_compared:
            yield (
                f"{metric.name} of single rows is without a bound, so that one row may prove anything",
                metric.not_compared,
            )

    def _of(self, target: Target) -> str:
        return self.metric or preferred(target, lambda one: one.is_compared)

    def _paired(self, target: Target, pairs: Pairs, alpha: float) -> Finding:
        """Test the differences of losses of the same rows: what makes a row hard makes it so for both."""
        from loopline.platform_core.specs.judges.sequential import evidence_of_mean

        labels = pairs.labels
        mine, other = (self._losses(target, labels, side) for side in pairs.labelled_scores)
        if len(labels) < self.min_labels or not len(mine.values):
            return self.silent(f"{len(labels)} labels of both")
        differences = mine.values - other.values
        strength = evidence_of_mean((1 + differences) / 2, (1 + self.at_most / mine.unit) / 2)
        worse = float(differences.mean()) * mine.unit
        proven = worse > self.at_most and strength >= 1 / alpha
        return Finding(self.name, worse, self.at_most, proven, f"{len(labels)} labels of both")

    def _apart(self, candidate: Traffic, stable: Traffic, alpha: float) -> Finding:
        fewest = min(len(candidate.labels), len(stable.labels))
        sides = candidate, stable
        mine, other = (self._losses(candidate.target, one.labels, one.labelled_scores) for one in sides)
        if fewest < self.min_labels or not len(mine.values) or not len(other.values):
            return self.silent(f"{fewest} labels of one of both")
        worse = float(mine.values.mean() - other.values.mean()) * mine.unit
        proven = worse > self.at_most and self._evidence(mine, other) >= 1 / alpha
        detail = f"{len(candidate.labels)} labels beside {len(stable.labels)}"
        return Finding(self.name, worse, self.at_most, proven, detail)

    def _losses(self, target: Target, labels: Floats, raw: Floats) -> Losses:
        """Return what each row lost."""
        found = target.metrics[self.metric].losses(target.rows(labels, raw)) if len(labels) else None
        return Losses(labels[:0], 1.0) if found is None else found

    def _evidence(self, mine: Losses, other: Losses) -> float:
        from loopline.platform_core.specs.judges.sequential import evidence_of_gap

        return evidence_of_gap(mine.values, other.values, self.at_most / mine.unit)
